//! tungstenite: usage: peer server 0, or client 0 URI. It has no compression.
use std::net::TcpListener;
use std::{env, thread};

use tungstenite::{accept, connect, Message};

fn messages() -> Vec<Message> {
    vec![
        Message::Text("hello".into()),
        Message::Text("".into()),
        Message::Text("čeština ✓ ".repeat(100)),
        Message::Binary(vec![0]),
        Message::Binary(vec![b'x'; 125]),
        Message::Binary((0..126).collect()),
        Message::Binary("compressible ".repeat(300).into_bytes()),
        Message::Binary((0..20_000u32).map(|i| (i * i % 251) as u8).collect()),
    ]
}

fn server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("ready {}", listener.local_addr().unwrap().port());
    for stream in listener.incoming() {
        thread::spawn(move || {
            let mut socket = accept(stream.unwrap()).unwrap();
            while let Ok(message) = socket.read() {
                if message.is_text() || message.is_binary() {
                    socket.send(message).unwrap();
                }
            }
        });
    }
}

fn client(uri: &str) {
    let (mut socket, _) = connect(uri).unwrap();
    for message in messages() {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    println!("ok ");
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments[1].as_str() {
        "server" => server(),
        _ => client(&arguments[3]),
    }
}
