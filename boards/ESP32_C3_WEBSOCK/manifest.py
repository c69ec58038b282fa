# Nothing is frozen on this board alone.
include("../common/manifest.py")
