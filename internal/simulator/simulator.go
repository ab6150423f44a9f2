// Package simulator serves simulated gateways, for `tuma sandbox`, the demo and tests. It routes requests, counts
// accepted messages and injects faults on request. A Vendor makes the replies of a gateway. Its package is in the
// folder of the gateway's client: providers/kobo/kobosim simulates the gateway of providers/kobo. The simulator
// has separate counts, so that a test need not trust the client. It shares no code with the clients.
package simulator

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Server. With the zero value every login is valid, the credit is a billion
// messages, replies are not delayed, and there are no faults.
type Options struct {
	// Seed makes message IDs and random faults repeatable.
	Seed uint64
	// Users maps user names to passwords. If Users is empty, every login is valid.
	Users map[string]string
	// Credit is the number of messages that each gateway accepts. 0 means a billion.
	Credit float64
	// Latency is how long every reply of a gateway is delayed. It also applies to refusals. An injected fault is
	// delayed only if the gateway has accepted the call.
	Latency time.Duration
	// NoCount disables the counts by number, for benchmarks. Accepted and Duplicates then return 0,
	// AllAccepted yields nothing, and LastAccepted is empty.
	NoCount bool
	// Texts keeps the last accepted text of each number, for Gateway.Text.
	Texts bool
	// Log is the maximum number of accepted calls in Server.Log. The log keeps the first calls and drops all
	// later calls. 0 means no log.
	Log int
	// Reports are the delivery reports of the gateways that post them.
	Reports Reports
	// OnAccept is called after each accepted call, with the gateway's name and the number of
	// duplicates at all gateways so far. The call's texts are valid only until OnAccept returns.
	// OnAccept must be fast and must not call the Server. It may be nil.
	OnAccept func(gateway string, call AcceptedCall, duplicates int64)
}

// Server is an http.Handler that serves every gateway below its name ("/kobo/api/send/") and at the
// vendor's own path ("/api/send/"), and the controls below /_sandbox/. Its counts are for all
// gateways together, so a message that two gateways accepted is a duplicate. A Gateway has the
// counts of one gateway. A Server is safe for concurrent use.
type Server struct {
	options   Options
	gateways  map[string]*Gateway
	endpoints map[string]routedEndpoint
	faults    faults
	closed    chan struct{}
	closeOnce sync.Once

	latency    atomic.Int64
	requests   atomic.Int64
	calls      atomic.Int64
	inFlight   atomic.Int64
	peak       atomic.Int64
	faultCount atomic.Int64
	ambiguous  atomic.Int64

	mu       sync.Mutex // mu guards the fields below, and the state of every Gateway.
	users    map[string]string
	counters counters
	log      []Entry
}

// routedEndpoint is an endpoint with the gateway that serves it.
type routedEndpoint struct {
	Endpoint
	gateway *Gateway
}

// New returns a Server with a gateway for each vendor, by the gateway's name. It panics if two vendors serve the
// same path. Call Close to end calls that hang.
func New(o Options, vendors map[string]NewVendor) *Server {
	s := &Server{options: o, gateways: map[string]*Gateway{}, endpoints: map[string]routedEndpoint{}, closed: make(chan struct{})}
	for name, newVendor := range vendors {
		d := &Gateway{state: State{server: s, name: name}}
		d.vendor = newVendor(&d.state)
		if v, ok := d.vendor.(Reporter); ok {
			d.reporter = newReporter(v, o.Seed, s.closed)
		}
		s.gateways[name] = d
		for path, e := range d.vendor.Endpoints() {
			if _, shared := s.endpoints[path]; shared {
				panic("simulator: " + path + " is the path of two gateways; serve one of them under its name alone")
			}
			s.endpoints[path] = routedEndpoint{e, d}
			s.endpoints["/"+name+path] = routedEndpoint{e, d}
		}
	}
	s.Reset()
	return s
}

// Reset restores the initial state: options, counts, keys and faults.
func (s *Server) Reset() {
	s.faults.reset(s.options.Seed)
	s.latency.Store(int64(s.options.Latency))
	for _, n := range []*atomic.Int64{&s.requests, &s.calls, &s.peak, &s.faultCount, &s.ambiguous} {
		n.Store(0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = make(map[string]string, len(s.options.Users))
	for user, password := range s.options.Users {
		s.users[user] = password
	}
	s.counters, s.log = newCounters(!s.options.NoCount), nil
	for _, d := range s.gateways {
		if d.reporter != nil {
			d.reporter.reset(s.options.Reports)
		}
		d.reset()
	}
}

// Close closes the connections of all calls that hang, and drops the delivery reports that are not posted yet.
// The connections of later calls that would hang are closed at once.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.closed) })
	for _, d := range s.gateways {
		if d.reporter != nil {
			d.reporter.close()
		}
	}
}

// ServeHTTP serves the gateways' paths and the controls.
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
	e.gateway.requests.Add(1)
	if r.Method != http.MethodPost && (r.Method != http.MethodGet || !e.AllowGet) {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	s.exchange(w, r, e)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// The method "exchange" reads a request and replies to it. If a fault is set for the request, exchange injects the
// fault.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, e routedEndpoint) {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer buffers.Put(buf)
	if e.IsSend != nil { // the choice of a fault depends on IsSend, and IsSend needs the body
		s.read(r, buf)
		e.Send = e.IsSend(r, buf.Bytes())
	}
	if e.Send {
		defer s.beginCall(e.gateway)()
	}
	f := s.faults.draw(e)
	if f.isSet() {
		s.countFault(e.gateway, f)
	}
	if f.kind == faultClose && !f.accept {
		panic(http.ErrAbortHandler)
	}
	if e.IsSend == nil {
		s.read(r, buf)
	}
	if f.isSet() && !f.accept {
		s.fail(w, r, f, e, buf.Bytes(), Answer{})
		return
	}
	a := e.Answer(r, buf.Bytes())
	s.sleep(r)
	if f.isSet() && a.Accepted {
		s.fail(w, r, f, e, buf.Bytes(), a)
		return
	}
	write(w, a)
}

// The method "read" reads a request's body into buf. If the client disconnects meanwhile, the method aborts the request,
// and the gateway accepts nothing.
func (s *Server) read(r *http.Request, buf *bytes.Buffer) {
	if _, err := buf.ReadFrom(io.LimitReader(r.Body, 1<<20)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// beginCall counts a call as in flight, and returns the function that ends it.
func (s *Server) beginCall(d *Gateway) func() {
	s.calls.Add(1)
	d.calls.Add(1)
	now := s.inFlight.Add(1)
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
	}
	return func() { s.inFlight.Add(-1) }
}

// countFault counts a fault.
func (s *Server) countFault(d *Gateway, f fault) {
	s.faultCount.Add(1)
	d.faultCount.Add(1)
	if f.ambiguous() {
		s.ambiguous.Add(1)
		d.ambiguous.Add(1)
	}
}

// The method "sleep" waits until the latency has passed, the client has disconnected or the server is closed.
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

// PlainText is the default content type of a reply.
const PlainText = "text/plain; charset=utf-8"

func write(w http.ResponseWriter, a Answer) {
	h := w.Header()
	if a.ContentType == "" {
		a.ContentType = PlainText
	}
	h.Set("Content-Type", a.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = w.Write(a.Body)
}
