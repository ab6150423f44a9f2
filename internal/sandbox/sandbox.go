// Package sandbox stands in for the gateways: servers that behave as the vendors'
// pages say and break on demand, for `tuma sandbox`, the demo and tests. It keeps
// books of its own on what was accepted, so that a test need not believe the
// client; it shares no code with the clients in providers.
package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options set a Server up. The zero value is a gateway that takes any login, has
// plenty of credit, answers at once and never fails.
type Options struct {
	// Seed makes message ids and random faults repeatable.
	Seed uint64
	// Users are the logins, user to password. Empty: any login is good.
	Users map[string]string
	// Credit is how many messages may be accepted. Default: a billion.
	Credit float64
	// Latency is how long an accepted call waits for its answer.
	Latency time.Duration
	// Repeat is what an idempotency key answers when it comes again.
	Repeat Repeat
	// NoCount switches off the count per number, for benchmarks. Accepted,
	// Duplicates and the list of numbers are then empty.
	NoCount bool
}

// Server is an http.Handler that serves every gateway, each under its name
// ("/kobo/api/send/") and at the vendor's own path ("/api/send/"), and under
// /_sandbox/ the controls. All gateways share one book: a number that two of them
// accepted is a duplicate. It is safe for concurrent use.
type Server struct {
	options   Options
	endpoints map[string]endpoint
	faults    faults
	closed    chan struct{}
	closeOnce sync.Once

	latency  atomic.Int64
	requests atomic.Int64
	calls    atomic.Int64
	inFlight atomic.Int64
	peak     atomic.Int64
	struck   atomic.Int64

	mu     sync.Mutex // guards all below, and what the gateways keep
	users  map[string]string
	credit float64
	book   book
	kobo   *kobo
}

// endpoint is one path of a gateway.
type endpoint struct {
	// send says that a request here is a call: faults strike it, and it is counted.
	send bool
	// answer serves a request whose body has been read.
	answer func(r *http.Request, body []byte) answer
	// refuse answers with a gateway's own error word, as a fault of the gateway.
	refuse func(r *http.Request, body []byte, word string) answer
}

// answer is what a gateway says.
type answer struct {
	status      int // 0 is 200
	contentType string
	body        []byte
	taken       bool // messages have been accepted (now, or before under the same key)
}

// New returns a Server. Close releases the calls it lets hang.
func New(o Options) *Server {
	s := &Server{options: o, endpoints: map[string]endpoint{}, closed: make(chan struct{})}
	s.kobo = newKobo(s)
	s.mount("kobo", s.kobo.endpoints())
	s.Reset()
	return s
}

func (s *Server) mount(name string, endpoints map[string]endpoint) {
	for path, e := range endpoints {
		s.endpoints[path] = e
		s.endpoints["/"+name+path] = e
	}
}

// Reset makes the server as new: options, books, keys, faults, figures.
func (s *Server) Reset() {
	s.faults.reset(s.options.Seed)
	s.latency.Store(int64(s.options.Latency))
	for _, n := range []*atomic.Int64{&s.requests, &s.calls, &s.peak, &s.struck} {
		n.Store(0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = make(map[string]string, len(s.options.Users))
	for user, password := range s.options.Users {
		s.users[user] = password
	}
	s.credit = s.options.Credit
	if s.credit == 0 {
		s.credit = 1e9
	}
	s.book = newBook(!s.options.NoCount)
	s.kobo.reset()
}

// Close lets every call that hangs go, by closing its connection. Calls that would
// hang later are closed at once.
func (s *Server) Close() { s.closeOnce.Do(func() { close(s.closed) }) }

// ServeHTTP serves a gateway's path or the controls.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.control(w, r) {
		return
	}
	s.requests.Add(1)
	e, ok := s.endpoints[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if e.send {
		s.calls.Add(1)
		now := s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
		}
	}
	s.exchange(w, r, e)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// exchange reads a request, answers it, and breaks what the faults say.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, e endpoint) {
	f := s.faults.draw(e.send)
	if f.strikes() {
		s.struck.Add(1)
	}
	if f.kind == faultClose && !f.accept {
		panic(http.ErrAbortHandler)
	}
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer buffers.Put(buf)
	if _, err := buf.ReadFrom(io.LimitReader(r.Body, 1<<20)); err != nil {
		panic(http.ErrAbortHandler) // the client went away: nothing was accepted
	}
	if f.strikes() && !f.accept {
		s.fail(w, r, f, e, buf.Bytes(), answer{})
		return
	}
	a := e.answer(r, buf.Bytes())
	if e.send && a.taken {
		s.sleep(r)
	}
	if f.strikes() && a.taken {
		s.fail(w, r, f, e, buf.Bytes(), a)
		return
	}
	write(w, a)
}

// sleep waits as long as the latency says, or until nobody waits for the answer.
func (s *Server) sleep(r *http.Request) {
	d := time.Duration(s.latency.Load())
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.closed:
	}
}

func write(w http.ResponseWriter, a answer) {
	h := w.Header()
	if a.contentType == "" {
		a.contentType = "text/plain; charset=utf-8"
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body)
}

// login says whether user may come in. The caller holds s.mu.
func (s *Server) login(user, password string) bool {
	if len(s.users) == 0 {
		return true
	}
	want, ok := s.users[user]
	return ok && want == password
}
