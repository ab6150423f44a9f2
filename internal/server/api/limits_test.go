package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/keys"
)

// The type "endless" is a body of 100 MB that begins with a text and repeats a row. It counts the bytes that
// the client has read from the body.
type endless struct {
	begin, row string
	left       int
	read       atomic.Int64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(b, e.begin)
	if e.begin = e.begin[n:]; n == 0 {
		n = copy(b, bytes.Repeat([]byte(e.row), 1+len(b)/len(e.row)))
	}
	e.left -= n
	e.read.Add(int64(n))
	return n, nil
}

// The server refuses a bad list as soon as it has read the first rows. It does not read 100 MB first.
func TestUpload_RefusesABadListAtItsBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeSend)
	const size = 100 << 20
	for name, x := range map[string]struct{ media, query, begin, row string }{
		"no column with numbers":   {"text/csv", "id=c&via=kobo-main&body=x", "name,city\n", "Amina,Nairobi\n"},
		"a merge field is missing": {"text/csv", "id=c&via=kobo-main&body=Hi+%7B%7Bfirst%7D%7D", "phone,name\n", "0712345678,Amina\n"},
		"binary":                   {"text/csv", "id=c&via=kobo-main&body=x", "\x00\x01\x02", "\x00\x00\x00\x00"},
		"a web page":               {"text/csv", "id=c&via=kobo-main&body=x", "<!doctype html>\n", "<p>0712345678</p>\n"},
		"no JSON lines":            {"application/x-ndjson", "id=c&via=kobo-main&body=x", "phone\n", "0712345678\n"},
		"a wrong template":         {"text/csv", "id=c&via=kobo-main&body=Hi+%7B%7Bname", "phone,name\n", "0712345678,Amina\n"},
		"no such media type":       {"image/png", "id=c", "\x89PNG", "\x00\x00\x00\x00"},
		"JSON that is too long":    {"application/json", "", `{"id":"c","via":"kobo-main","body":"x","recipients":[`, `{"number":"0712345678"},`},
	} {
		body := &endless{begin: x.begin, row: x.row, left: size}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/campaigns?"+x.query, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		req.Header.Set("Content-Type", x.media)
		req.Header.Set("Authorization", "Bearer "+key)
		// exchange reads the answer while it writes the body, because the server may cut the connection before it
		// has read the whole body.
		status, text := r.exchange(req)
		want := map[string]int{"image/png": http.StatusUnsupportedMediaType, "application/json": http.StatusRequestEntityTooLarge}[x.media]
		if want == 0 {
			want = http.StatusUnprocessableEntity
		}
		if status != want || !strings.Contains(text, "application/problem+json") {
			t.Errorf("%s: got %d %s, want %d", name, status, text, want)
		}
		// The client can write more bytes than the server reads, because the buffers of both sockets hold the
		// difference.
		if read := body.read.Load(); read > 30<<20 {
			t.Errorf("%s: the server took %d MB of the body", name, read>>20)
		}
	}
}

// exchange sends a request over a separate connection, and reads the answer while it writes the body.
func (r *rig) exchange(req *http.Request) (status int, text string) {
	r.Helper()
	conn, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", req.URL.Host)
	if err != nil {
		r.Fatal(err)
	}
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_ = req.Write(conn) // the server cuts the connection
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		_ = conn.Close()
		<-wrote
		r.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body) // the server may cut the connection after the answer
	_ = res.Body.Close()
	_ = conn.Close()
	<-wrote
	return res.StatusCode, fmt.Sprint(res.Header, " ", string(body))
}

// The server cuts the connection of a client that sends its body too slowly, for every way of reading the body.
func TestBodies_SlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(a *API) {
		for _, item := range a.huma.OpenAPI().Paths {
			if item.Post != nil {
				item.Post.BodyReadTimeout = 600 * time.Millisecond // of 30 s
			}
		}
	})
	key := r.key(nil, keys.ScopeSend)
	for name, x := range map[string]struct{ path, media string }{
		"list":    {"/v1/campaigns?id=c&via=kobo-main&body=x", "text/csv"},
		"JSON":    {"/v1/campaigns", "application/json"},
		"form":    {"/v1/campaigns", "multipart/form-data; boundary=b"},
		"message": {"/v1/messages", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n", x.path, key, x.media)
			answered := make(chan int, 1)
			go func() {
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					answered <- 0
					return
				}
				_ = res.Body.Close()
				answered <- res.StatusCode
			}()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for sent := 0; ; sent++ {
				select {
				case status := <-answered:
					if status != http.StatusRequestTimeout {
						t.Errorf("the answer is %d, want 408", status)
					}
					return
				case <-tick.C:
					_, _ = conn.Write([]byte{' '}) // the server may have cut the connection
				case <-ctx.Done():
					t.Fatalf("the server still reads after %d bytes", sent)
				}
			}
		})
	}
}
