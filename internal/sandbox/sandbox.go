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
	// Credit is how many messages each gateway may accept. Default: a billion.
	Credit float64
	// Latency is how long an accepted call waits for its answer.
	Latency time.Duration
	// Repeat is what an idempotency key answers when it comes again.
	Repeat Repeat
	// NoCount switches off the count per number, for benchmarks. Accepted,
	// Duplicates and the list of numbers are then empty.
	NoCount bool
	// Texts keeps what was accepted last for each number (Desk.Text).
	Texts bool
	// Log is how many accepted calls Log remembers, the first ones; 0: none.
	Log int
}

// Server is an http.Handler that serves every gateway, each under its name
// ("/kobo/api/send/") and at the vendor's own path ("/api/send/"), and under
// /_sandbox/ the controls. Its figures are those of all gateways together, and a
// number that two of them accepted is a duplicate; a Desk has those of one gateway.
// It is safe for concurrent use.
type Server struct {
	options   Options
	desks     map[string]*Desk
	endpoints map[string]place
	faults    faults
	closed    chan struct{}
	closeOnce sync.Once

	latency   atomic.Int64
	requests  atomic.Int64
	calls     atomic.Int64
	inFlight  atomic.Int64
	peak      atomic.Int64
	struck    atomic.Int64
	ambiguous atomic.Int64

	mu    sync.Mutex // guards all below, and what the desks and gateways keep
	users map[string]string
	book  book
	log   []Entry
}

// place is an endpoint of a gateway.
type place struct {
	endpoint
	desk *Desk
}

// New returns a Server. Close releases the calls it lets hang.
func New(o Options) *Server {
	s := &Server{options: o, desks: map[string]*Desk{}, endpoints: map[string]place{}, closed: make(chan struct{})}
	for name, open := range makers {
		d := &Desk{s: s, name: name}
		d.gateway = open(d)
		s.desks[name] = d
		for path, e := range d.gateway.endpoints() {
			if _, shared := s.endpoints[path]; shared {
				panic("sandbox: " + path + " is the path of two gateways; serve one of them under its name alone")
			}
			s.endpoints[path] = place{e, d}
			s.endpoints["/"+name+path] = place{e, d}
		}
	}
	s.Reset()
	return s
}

// Reset makes the server as new: options, books, keys, faults, figures.
func (s *Server) Reset() {
	s.faults.reset(s.options.Seed)
	s.latency.Store(int64(s.options.Latency))
	for _, n := range []*atomic.Int64{&s.requests, &s.calls, &s.peak, &s.struck, &s.ambiguous} {
		n.Store(0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = make(map[string]string, len(s.options.Users))
	for user, password := range s.options.Users {
		s.users[user] = password
	}
	s.book, s.log = newBook(!s.options.NoCount), nil
	for _, d := range s.desks {
		d.reset()
	}
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
	if !ok {
		http.NotFound(w, r)
		return
	}
	e.desk.requests.Add(1)
	if r.Method != http.MethodPost && (r.Method != http.MethodGet || !e.get) {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	s.exchange(w, r, e)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// exchange reads a request, answers it, and breaks what the faults say.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, e place) {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer buffers.Put(buf)
	if e.sends != nil { // only what is read tells whether faults strike it
		s.read(r, buf)
		e.send = e.sends(r, buf.Bytes())
	}
	if e.send {
		defer s.count(e.desk)()
	}
	f := s.faults.draw(e)
	if f.strikes() {
		s.strike(e.desk, f)
	}
	if f.kind == faultClose && !f.accept {
		panic(http.ErrAbortHandler)
	}
	if e.sends == nil {
		s.read(r, buf)
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

// read reads a request's body. A client that goes away meanwhile has sent nothing.
func (s *Server) read(r *http.Request, buf *bytes.Buffer) {
	if _, err := buf.ReadFrom(io.LimitReader(r.Body, 1<<20)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// count counts a call, and returns what ends it.
func (s *Server) count(d *Desk) func() {
	s.calls.Add(1)
	d.calls.Add(1)
	now := s.inFlight.Add(1)
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
	}
	return func() { s.inFlight.Add(-1) }
}

// strike counts a fault.
func (s *Server) strike(d *Desk, f fault) {
	s.struck.Add(1)
	d.struck.Add(1)
	if f.ambiguous() {
		s.ambiguous.Add(1)
		d.ambiguous.Add(1)
	}
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

const plainText = "text/plain; charset=utf-8"

func write(w http.ResponseWriter, a answer) {
	h := w.Header()
	if a.contentType == "" {
		a.contentType = plainText
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

// knows says whether a secret is anybody's, for gateways whose login is a token
// alone. The caller holds s.mu.
func (s *Server) knows(secret string) bool {
	if len(s.users) == 0 {
		return secret != ""
	}
	for _, password := range s.users {
		if password == secret {
			return true
		}
	}
	return false
}
