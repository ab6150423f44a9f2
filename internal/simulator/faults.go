package simulator

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

// Fault is an error that the simulator injects into calls.
//
// Name is one of
//
//	close     closes the connection before the body is read
//	hang      never replies; the connection closes when the client gives up
//	html      replies with a web page and status 200
//	cut       sends half of the reply and closes the connection
//	429       replies with the HTTP status 429; any other status from 300 to 599 works too
//	error_gw  replies with this error code; any other code that begins with "error" works too
//	code_405  replies with the error code 405; any other code may follow "code_"
//	later     replies with the vendor's error code for a call that may be tried again
//	campaign  replies with the vendor's error code for a campaign that it refuses as a whole
//	credit    replies with the vendor's error code for an account without credit
//	text      replies with the vendor's error code for a text that it refuses
//	blacklist replies that every number of the call is on the vendor's blacklist
//	missing   leaves the first number out of the reply
//	extra     adds a number to the reply that the call did not contain
//	shuffled  names the numbers of the reply in another order
//
// With most names the gateway does not accept the call. With "accept_" before the name
// ("accept_close", "accept_502") the gateway accepts the call before the fault. The faults
// "cut", "missing", "extra" and "shuffled" always let the gateway accept the call. If the gateway refuses such a call by
// itself, it sends its usual reply without the fault. The faults "missing", "extra" and "shuffled" do not change a reply
// without numbers. The faults "later", "campaign", "credit", "text" and "blacklist" apply only to vendors with such a code.
type Fault struct {
	Name string
	// Gateway is the name of the gateway that gets the fault. Empty means every gateway.
	Gateway string
	// With N, the fault is injected into the next N calls. Faults with N apply before faults with P, in
	// the order in which they were added.
	N int
	// With P, the fault is injected into each call with this probability, from 0 to 1. A later Fault
	// with the same Name and Gateway replaces the earlier one, and a later Fault with P 0 removes it.
	P float64
	// With Everything, the fault is also injected into other requests, such as requests for credit and
	// reports.
	Everything bool
	// RetryAfter is the value of the header Retry-After in a reply with a status, in whole seconds. 0 means no
	// header.
	RetryAfter time.Duration
}

const (
	faultClose = "close"
	faultHang  = "hang"
	faultHTML  = "html"
	faultCut   = "cut"

	faultMissing  = "missing"
	faultExtra    = "extra"
	faultShuffled = "shuffled"
)

// These are the faults for which a vendor has its own error codes, in Endpoint.FaultReplies.
const (
	// FaultLater refuses a call that may be tried again.
	FaultLater = "later"
	// FaultCampaign refuses a campaign as a whole.
	FaultCampaign = "campaign"
	// FaultCredit refuses a call because the account has no credit.
	FaultCredit = "credit"
	// FaultText refuses the text of a call.
	FaultText = "text"
	// FaultBlacklist refuses every number of a call, as if the vendor's blacklist had all these
	// numbers.
	FaultBlacklist = "blacklist"
)

// fault is a parsed Fault.
type fault struct {
	Fault
	accept bool
	kind   string // the name without "accept_" and "code_"
	status int    // the HTTP status, or 0 if the fault is not a status
}

// isSet returns false for the zero fault, which means that no fault is injected.
func (f fault) isSet() bool { return f.kind != "" }

// The method "ambiguous" reports whether, after this fault, the client cannot know if the gateway
// accepted the call.
func (f fault) ambiguous() bool {
	switch {
	case f.kind == faultShuffled, f.kind == faultExtra:
		return false
	case f.accept, f.status >= 500:
		return true
	}
	return f.kind == faultClose || f.kind == faultHang || f.kind == faultHTML
}

// isVendorReply reports whether the fault is one of Endpoint.FaultReplies. Each vendor has its own
// error codes for these faults.
func (f fault) isVendorReply() bool {
	return slices.Contains([]string{FaultLater, FaultCampaign, FaultCredit, FaultText, FaultBlacklist}, f.kind)
}

// appliesTo reports whether the fault can be injected at an endpoint.
func (f fault) appliesTo(e routedEndpoint) bool {
	return (f.Gateway == "" || f.Gateway == e.gateway.state.name) && (e.Send || f.Everything) && (!f.isVendorReply() || e.FaultReplies[f.kind] != "")
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
	next   []fault // the faults whose field N is set, in the order in which they were added
	random []fault // the faults whose field P is set
}

func (fs *faults) reset(seed uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rng = rand.New(rand.NewPCG(seed, 0x7475_6d61))
	fs.next, fs.random = nil, nil
}

// The method "draw" returns the fault for a request. The zero fault means that no fault is injected.
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
		return fmt.Errorf("fault %q: unknown gateway %q; the gateways are %q", in.Name, in.Gateway, s.Names())
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

// FailNext injects a fault into the next n calls. It panics if the name is unknown.
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

// The method "fail" replies with the fault f. The parameter "a" is the reply to an accepted call. The fault changes
// or replaces this reply. If the call was not accepted, the parameter "a" is empty.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f fault, e routedEndpoint, body []byte, a Answer) {
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
		w.Header().Set("Content-Type", cmp.Or(a.ContentType, PlainText))
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
		_, _ = w.Write(a.Body[:len(a.Body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.kind == faultHTML:
		write(w, Answer{ContentType: "text/html; charset=utf-8", Body: []byte(maintenance)})
	case f.status != 0:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
		if f.status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		write(w, Answer{Status: f.status, Body: []byte(http.StatusText(f.status) + "\n")})
	case f.kind == faultMissing, f.kind == faultExtra, f.kind == faultShuffled:
		write(w, alterRows(f.kind, a))
	case f.isVendorReply():
		write(w, e.Refuse(r, body, e.FaultReplies[f.kind]))
	case e.Refuse == nil:
		write(w, Answer{Body: []byte(f.kind)})
	default:
		write(w, e.Refuse(r, body, f.kind))
	}
}

// alterRows returns the reply with a missing number, an extra number, or another order of the numbers.
func alterRows(kind string, a Answer) Answer {
	if a.Rows == nil {
		return a
	}
	rows, build := a.Rows()
	switch kind {
	case faultMissing:
		rows = rows[1:]
	case faultExtra:
		rows = append(rows, Row{Number: rows[len(rows)-1].Number + 1, Text: rows[0].Text})
	case faultShuffled:
		slices.Reverse(rows)
	}
	a.Body = build(rows)
	return a
}
