package main

import (
	"fmt"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests. With the arguments "listen ADDRESS", the test binary instead listens at the
// address and keeps running. Tests use it as a command that occupies a terminal.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "listen" {
		listen(os.Args[2])
	}
	goleak.VerifyTestMain(m)
}

// The function "listen" accepts connections at an address, and prints a line for each
// connection.
func listen(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		_ = conn.Close()
		fmt.Println("accepted a connection at  ", address)
	}
}
