package sandbox

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is an error that the sandbox injects into calls.
//
// Name is one of
//
//	close     closes the connection before the body is read
//	hang      never replies; the connection closes when the client gives up
//	html      replies with a web page and status 200
//	cut       sends half of the reply and closes the connection
//	429       or any status from 300 to 599; RetryAfter applies to it
//	error_gw  or any other of the gateway's own words that begin with "error"
//	code_405  or any other of the gateway's own words, after "code_"
//	later     the gateway's own word for: not accepted, try again
//	campaign  the gateway's own word for a campaign that it refuses as a whole
//	credit    the gateway's own word for an account without credit
//	missing   leaves the first number out of the reply
//	extra     adds a number to the reply that the call did not contain
//	shuffled  names the numbers of the reply in another order
//
// With these names nothing is accepted. With "accept_" before the name ("accept_close", "accept_502") the
// gateway first accepts the call, if it would accept it without the fault. A cut reply is always accepted
// first. So are missing, extra and shuffled, which apply only to replies that name numbers. A word applies
// only to gateways that have it.
type Fault struct {
	Name string
	// Gateway is the gateway concerned. Empty means every gateway.
	Gateway string
	// N injects the fault into the next N calls. These faults come before all random ones, in the order
	// in which they were set.
	N int
	// P injects the fault into each call with this probability, until it is set again. 0 ends it.
	P float64
	// Everything injects the fault into requests for credit and reports too.
	Everything bool
	// RetryAfter is sent with a status, in whole seconds.
	RetryAfter time.Duration
}

const (
	faultClose = "close"
	faultHang  = "hang"
	faultHTML  = "html"
	faultCut   = "cut"

	faultLater    = "later"
	faultCampaign = "campaign"
	faultCredit   = "credit"

	faultMissing  = "missing"
	faultExtra    = "extra"
	faultShuffled = "shuffled"
)

// fault is a parsed Fault.
type fault struct {
	Fault
	accept bool
	kind   string // the name without accept_
	status int    // if kind is a status
}

// isSet reports whether a fault is to be injected. It is false for the zero fault.
func (f fault) isSet() bool { return f.kind != "" }

// ambiguous reports whether the client cannot know after this fault whether the call was accepted.
func (f fault) ambiguous() bool {
	switch {
	case f.kind == faultShuffled, f.kind == faultExtra:
		return false
	case f.accept, f.status >= 500:
		return true
	}
	return f.kind == faultClose || f.kind == faultHang || f.kind == faultHTML
}

// isVendorReply reports whether the fault is one of the gateway's own words.
func (f fault) isVendorReply() bool {
	return f.kind == faultLater || f.kind == faultCampaign || f.kind == faultCredit
}

// appliesTo reports whether the fault can be injected at an endpoint.
func (f fault) appliesTo(e routedEndpoint) bool {
	return (f.Gateway == "" || f.Gateway == e.gateway.name) && (e.send || f.Everything) && (!f.isVendorReply() || e.faultReplies[f.kind] != "")
}

func parseFault(in Fault) (fault, error) {
	f := fault{Fault: in}
	f.kind, f.accept = strings.CutPrefix(in.Name, "accept_")
	if in.N < 0 || in.P < 0 || in.P > 1 || in.N > 0 && in.P > 0 {
		return fault{}, fmt.Errorf("fault %q: set either n above 0 or p from 0 to 1", in.Name)
	}
	switch {
	case f.kind == faultCut, f.kind == faultMissing, f.kind == faultExtra, f.kind == faultShuffled:
		f.accept = true
	case f.isVendorReply(), f.kind == faultClose, f.kind == faultHang, f.kind == faultHTML, strings.HasPrefix(f.kind, "error"):
	case strings.HasPrefix(f.kind, "code_"):
		f.kind = strings.TrimPrefix(f.kind, "code_")
	default:
		status, err := strconv.Atoi(f.kind)
		if err != nil || status < 300 || status > 599 {
			return fault{}, fmt.Errorf("unknown fault %q", in.Name)
		}
		f.status = status
	}
	return f, nil
}

// faults decides which calls get a fault.
type faults struct {
	mu     sync.Mutex
	rng    *rand.Rand
	next   []fault
	random []fault
}

func (fs *faults) reset(seed uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rng = rand.New(rand.NewPCG(seed, 0x7475_6d61))
	fs.next, fs.random = nil, nil
}

// draw returns the fault for a request, or the zero fault for none.
func (fs *faults) draw(e routedEndpoint) fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range fs.next {
		f := &fs.next[i]
		if !f.appliesTo(e) {
			continue
		}
		drawn := *f
		if f.N--; f.N == 0 {
			fs.next = slices.Delete(fs.next, i, i+1)
		}
		return drawn
	}
	for _, f := range fs.random {
		if f.appliesTo(e) && fs.rng.Float64() < f.P {
			return f
		}
	}
	return fault{}
}

// Fail adds a fault, for the next N calls or with probability P. It returns an error for an invalid Fault.
// It is safe for concurrent use.
func (s *Server) Fail(in Fault) error {
	f, err := parseFault(in)
	if err != nil {
		return err
	}
	if s.gateways[in.Gateway] == nil && in.Gateway != "" {
		return fmt.Errorf("fault %q: unknown gateway %q; the gateways are %q", in.Name, in.Gateway, Names())
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if f.N > 0 {
		s.faults.next = append(s.faults.next, f)
		return nil
	}
	s.faults.random = slices.DeleteFunc(s.faults.random, func(old fault) bool { return old.Name == f.Name && old.Gateway == f.Gateway })
	if f.P > 0 {
		s.faults.random = append(s.faults.random, f)
	}
	return nil
}

// FailNext injects a fault into the next n calls. It panics if the name is not known.
func (s *Server) FailNext(n int, name string) {
	if err := s.Fail(Fault{Name: name, N: n}); err != nil {
		panic(err)
	}
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.next, s.faults.random = nil, nil
}

const maintenance = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>\n"

// fail replies with the fault f. a is the reply that f replaces, if the call was accepted.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f fault, e routedEndpoint, body []byte, a answer) {
	switch {
	case f.kind == faultHang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	case f.kind == faultClose:
		panic(http.ErrAbortHandler)
	case f.kind == faultCut:
		w.Header().Set("Content-Type", cmp.Or(a.contentType, plainText))
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.kind == faultHTML:
		write(w, answer{contentType: "text/html; charset=utf-8", body: []byte(maintenance)})
	case f.status != 0:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
		if f.status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		write(w, answer{status: f.status, body: []byte(http.StatusText(f.status) + "\n")})
	case f.kind == faultMissing, f.kind == faultExtra, f.kind == faultShuffled:
		write(w, alterRows(f.kind, a))
	case f.isVendorReply():
		write(w, e.refuse(r, body, e.faultReplies[f.kind]))
	case e.refuse == nil:
		write(w, answer{body: []byte(f.kind)})
	default:
		write(w, e.refuse(r, body, f.kind))
	}
}

// alterRows returns the reply a with a number missing, an extra number, or another order.
func alterRows(kind string, a answer) answer {
	if a.rows == nil {
		return a
	}
	rows, build := a.rows()
	switch kind {
	case faultMissing:
		rows = rows[1:]
	case faultExtra:
		rows = append(rows, row{number: rows[len(rows)-1].number + 1, text: rows[0].text})
	case faultShuffled:
		slices.Reverse(rows)
	}
	a.body = build(rows)
	return a
}
