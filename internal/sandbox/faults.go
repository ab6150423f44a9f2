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

// Fault is something to go wrong with calls.
//
// Its Name is one of
//
//	close     the connection is closed before the body is read
//	hang      no answer ever comes; the connection closes when the client gives up
//	html      a web page, with status 200
//	cut       half of the answer, then the connection is closed
//	429       or any status from 300 to 599; RetryAfter goes with it
//	error_gw  or any other of the gateway's own words that begin with "error"
//	code_405  or any other of the gateway's own words, behind "code_"
//	later     the gateway's own word for: not taken, come again
//	campaign  its own word for a campaign that it refuses as a whole
//	credit    its own word for an account without credit
//	missing   the answer leaves the first number out
//	extra     the answer names a number that nobody has asked for
//	shuffled  the answer names the numbers in another order
//
// and means that nothing was accepted; with "accept_" before it ("accept_close",
// "accept_502") the call is accepted first, if the gateway would accept it. A cut
// answer is always accepted first, and so are the last three, which strike only
// answers that name numbers. A word strikes only where the gateway has one.
type Fault struct {
	Name string
	// Gateway is the one it strikes; empty: any.
	Gateway string
	// N strikes the next N calls; they come before all random faults, in the order
	// in which they were set.
	N int
	// P strikes each call with this probability, until it is set again (0 ends it).
	P float64
	// Everything strikes requests for credit and reports too.
	Everything bool
	// RetryAfter goes out with a status, in whole seconds.
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

// fault is a Fault that was understood.
type fault struct {
	Fault
	accept bool
	kind   string // the name without accept_
	status int    // if the kind is a status
}

func (f fault) strikes() bool { return f.kind != "" }

// ambiguous says whether the fault leaves the client without knowing whether the
// call was taken.
func (f fault) ambiguous() bool {
	switch {
	case f.kind == faultShuffled, f.kind == faultExtra:
		return false
	case f.accept, f.status >= 500:
		return true
	}
	return f.kind == faultClose || f.kind == faultHang || f.kind == faultHTML
}

// isWord says whether it stands for a word of the gateway's.
func (f fault) isWord() bool {
	return f.kind == faultLater || f.kind == faultCampaign || f.kind == faultCredit
}

// fits says whether it can strike at a place.
func (f fault) fits(e place) bool {
	return (f.Gateway == "" || f.Gateway == e.desk.name) && (e.send || f.Everything) && (!f.isWord() || e.words[f.kind] != "")
}

func parseFault(in Fault) (fault, error) {
	f := fault{Fault: in}
	f.kind, f.accept = strings.CutPrefix(in.Name, "accept_")
	if in.N < 0 || in.P < 0 || in.P > 1 || in.N > 0 && in.P > 0 {
		return fault{}, fmt.Errorf("fault %q: give either n above 0 or p from 0 to 1", in.Name)
	}
	switch {
	case f.kind == faultCut, f.kind == faultMissing, f.kind == faultExtra, f.kind == faultShuffled:
		f.accept = true
	case f.isWord(), f.kind == faultClose, f.kind == faultHang, f.kind == faultHTML, strings.HasPrefix(f.kind, "error"):
	case strings.HasPrefix(f.kind, "code_"):
		f.kind = strings.TrimPrefix(f.kind, "code_")
	default:
		status, err := strconv.Atoi(f.kind)
		if err != nil || status < 300 || status > 599 {
			return fault{}, fmt.Errorf("fault %q is not known", in.Name)
		}
		f.status = status
	}
	return f, nil
}

// faults decides which calls go wrong.
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

// draw returns the fault that strikes a request; the zero fault strikes none.
func (fs *faults) draw(e place) fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range fs.next {
		f := &fs.next[i]
		if !f.fits(e) {
			continue
		}
		drawn := *f
		if f.N--; f.N == 0 {
			fs.next = slices.Delete(fs.next, i, i+1)
		}
		return drawn
	}
	for _, f := range fs.random {
		if f.fits(e) && fs.rng.Float64() < f.P {
			return f
		}
	}
	return fault{}
}

// Fail sets a fault: for the next N calls, or with probability P.
func (s *Server) Fail(in Fault) error {
	f, err := parseFault(in)
	if err != nil {
		return err
	}
	if s.desks[in.Gateway] == nil && in.Gateway != "" {
		return fmt.Errorf("fault %q: no gateway %q; there is %q", in.Name, in.Gateway, Names())
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

// FailNext makes the next n calls go wrong. It panics on a name that is not known.
func (s *Server) FailNext(n int, name string) {
	if err := s.Fail(Fault{Name: name, N: n}); err != nil {
		panic(err)
	}
}

// Mend ends all faults.
func (s *Server) Mend() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.next, s.faults.random = nil, nil
}

const maintenance = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>\n"

// fail lets f strike. a is the answer that it replaces, if the call was accepted.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f fault, e place, body []byte, a answer) {
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
		write(w, twist(f.kind, a))
	case f.isWord():
		write(w, e.refuse(r, body, e.words[f.kind]))
	case e.refuse == nil:
		write(w, answer{body: []byte(f.kind)})
	default:
		write(w, e.refuse(r, body, f.kind))
	}
}

// twist is an answer that does not name quite the numbers it should.
func twist(kind string, a answer) answer {
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
