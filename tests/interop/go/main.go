// gorilla's and coder's WebSockets: usage: peer gorilla|coder server 0|1, or client 0|1 URI.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
)

type message struct {
	text bool
	data []byte
}

func messages() []message {
	squares := make([]byte, 20000)
	for i := range squares {
		squares[i] = byte(i * i % 251)
	}
	numbers := make([]byte, 126)
	for i := range numbers {
		numbers[i] = byte(i)
	}
	return []message{
		{true, []byte("hello")},
		{true, []byte("")},
		{true, []byte(strings.Repeat("čeština ✓ ", 100))},
		{false, []byte{0}},
		{false, bytes.Repeat([]byte("x"), 125)},
		{false, numbers},
		{false, []byte(strings.Repeat("compressible ", 300))},
		{false, squares},
	}
}

func check(sent message, text bool, data []byte, err error) {
	if err != nil {
		log.Fatal(err)
	}
	if sent.text != text || !bytes.Equal(sent.data, data) {
		log.Fatalf("%.40q came back as %.40q", sent.data, data)
	}
}

func serve(handler http.HandlerFunc) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, handler))
}

func gorillaServer(compress bool) {
	upgrader := websocket.Upgrader{EnableCompression: compress}
	serve(func(w http.ResponseWriter, r *http.Request) {
		connection, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer connection.Close()
		for {
			kind, data, err := connection.ReadMessage()
			if err != nil {
				return
			}
			connection.WriteMessage(kind, data)
		}
	})
}

func gorillaClient(compress bool, uri string) {
	dialer := websocket.Dialer{EnableCompression: compress}
	connection, response, err := dialer.Dial(uri, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, sent := range messages() {
		kind := websocket.BinaryMessage
		if sent.text {
			kind = websocket.TextMessage
		}
		connection.WriteMessage(kind, sent.data)
		kind, data, err := connection.ReadMessage()
		check(sent, kind == websocket.TextMessage, data, err)
	}
	connection.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
	if _, _, err := connection.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		log.Fatal(err)
	}
	fmt.Println("ok", response.Header.Get("Sec-WebSocket-Extensions"))
}

func mode(compress bool) coder.CompressionMode {
	if compress {
		return coder.CompressionNoContextTakeover
	}
	return coder.CompressionDisabled
}

func coderServer(compress bool) {
	serve(func(w http.ResponseWriter, r *http.Request) {
		connection, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode(compress), CompressionThreshold: 1})
		if err != nil {
			return
		}
		defer connection.CloseNow()
		for {
			kind, data, err := connection.Read(context.Background())
			if err != nil {
				return
			}
			connection.Write(context.Background(), kind, data)
		}
	})
}

func coderClient(compress bool, uri string) {
	all := context.Background()
	connection, response, err := coder.Dial(all, uri, &coder.DialOptions{CompressionMode: mode(compress), CompressionThreshold: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, sent := range messages() {
		kind := coder.MessageBinary
		if sent.text {
			kind = coder.MessageText
		}
		connection.Write(all, kind, sent.data)
		kind, data, err := connection.Read(all)
		check(sent, kind == coder.MessageText, data, err)
	}
	if err := connection.Close(coder.StatusNormalClosure, ""); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ok", response.Header.Get("Sec-WebSocket-Extensions"))
}

func main() {
	library, role, compress := os.Args[1], os.Args[2], os.Args[3] == "1"
	switch library + " " + role {
	case "gorilla server":
		gorillaServer(compress)
	case "gorilla client":
		gorillaClient(compress, os.Args[4])
	case "coder server":
		coderServer(compress)
	case "coder client":
		coderClient(compress, os.Args[4])
	}
}
