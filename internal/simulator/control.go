package simulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The method "control" serves the paths below /_sandbox/, for shell scripts and for tests that run processes. It
// returns true if the request was for such a path. A GET reads values, and a POST with a form changes a setting. The
// reply to a POST is 204, or 400 with the error.
//
//	GET  stats                                    Stats as JSON; ?gateway=NAME for one gateway
//	GET  accepted                                 "number count" lines; ?gateway=NAME for one gateway
//	POST faults    fault, n or p, gateway=NAME, all=1, retry_after=seconds | clear=1
//	POST say       gateway, word=accept|reject|later, numbers=NUMBER[,…]
//	GET  reports                                  counts of delivery reports as JSON; ?gateway=NAME
//	GET  finals                                   "number delivered|undelivered" lines; ?gateway=NAME
//	POST reports   gateway, url, delay, interim=1; shares: fail, twice, early, late, lost, mangled. Without url: no reports
//	POST credit    credit, gateway=NAME
//	POST password  user, pass
//	POST options   latency=50ms, and the options of each vendor that is an OptionSetter
//	POST inbound   gateway, url, from, to, text, or messages="FROM TO TEXT" lines; copies=N, seed=N. Replies with JSON
//	POST reset
func (s *Server) control(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutPrefix(r.URL.Path, "/_sandbox/")
	if !ok {
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	gateway := r.FormValue("gateway")
	d := s.gateways[gateway]
	if d == nil && gateway != "" {
		http.Error(w, fmt.Sprintf("unknown gateway %q; the gateways are %q", gateway, s.Names()), http.StatusBadRequest)
		return true
	}
	switch r.Method + " " + name {
	case "GET stats":
		w.Header().Set("Content-Type", "application/json")
		stats := s.Stats
		if d != nil {
			stats = d.Stats
		}
		_ = json.NewEncoder(w).Encode(stats())
	case "GET accepted":
		s.writeAccepted(w, d)
	case "GET reports", "GET finals", "POST reports":
		s.controlReports(w, r, d, name)
	case "POST faults":
		writeResult(w, s.controlFaults(r))
	case "POST say":
		writeResult(w, s.controlReply(r, d))
	case "POST credit":
		credit, err := strconv.ParseFloat(r.PostFormValue("credit"), 64)
		switch {
		case err != nil:
		case d != nil:
			d.SetCredit(credit)
		default:
			s.SetCredit(credit)
		}
		writeResult(w, err)
	case "POST password":
		s.SetPassword(r.PostFormValue("user"), r.PostFormValue("pass"))
		writeResult(w, nil)
	case "POST options":
		writeResult(w, s.controlOptions(r))
	case "POST inbound":
		s.controlInbound(w, r, d)
	case "POST reset":
		s.Reset()
		writeResult(w, nil)
	default:
		http.NotFound(w, r)
	}
	return true
}

// writeAccepted writes how often each number was accepted. The counts are for the gateway d or, if d is nil, for all
// gateways.
func (s *Server) writeAccepted(w io.Writer, d *Gateway) {
	accepted := s.AllAccepted
	if d != nil {
		accepted = d.AllAccepted
	}
	out := bufio.NewWriter(w)
	for number, count := range accepted() {
		_, _ = fmt.Fprintf(out, "%d %d\n", number, count)
	}
	_ = out.Flush()
}

func writeResult(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) controlFaults(r *http.Request) error {
	if r.PostFormValue("clear") != "" {
		s.ClearFaults()
		return nil
	}
	f := Fault{Name: r.PostFormValue("fault"), Gateway: r.PostFormValue("gateway"), Everything: r.PostFormValue("all") != ""}
	if text := r.PostFormValue("n"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("n must be an integer: %w", err)
		}
		f.N = n
	}
	if text := r.PostFormValue("p"); text != "" {
		p, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("p must be a number from 0 to 1: %w", err)
		}
		f.P = p
	}
	if text := r.PostFormValue("retry_after"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("retry_after must be whole seconds: %w", err)
		}
		f.RetryAfter = time.Duration(seconds) * time.Second
	}
	return s.Fail(f)
}

func (s *Server) controlReply(r *http.Request, d *Gateway) error {
	numbers, ok := ParseNumbers(r.PostFormValue("numbers"))
	switch {
	case d == nil:
		return fmt.Errorf("gateway is missing; the gateways are %q", s.Names())
	case !ok:
		return errors.New("numbers must be a comma-separated list of numbers in international format")
	}
	return d.SetReply(Reply(r.PostFormValue("word")), numbers...)
}

func (s *Server) controlOptions(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	for name, values := range r.PostForm {
		value := values[0]
		if name == "latency" {
			d, err := time.ParseDuration(value)
			if err != nil {
				return fmt.Errorf("latency must be a duration, e.g. 50ms: %w", err)
			}
			s.SetLatency(d)
			continue
		}
		if err := s.setVendorOption(name, value); err != nil {
			return err
		}
	}
	return nil
}

// setVendorOption sets an option of every vendor that has this option. It returns an error if no vendor has the
// option.
func (s *Server) setVendorOption(name, value string) error {
	known := false
	for _, gateway := range s.Names() {
		setter, ok := s.gateways[gateway].vendor.(OptionSetter)
		if !ok {
			continue
		}
		has, err := setter.SetOption(name, value)
		if err != nil {
			return err
		}
		known = known || has
	}
	if !known {
		return fmt.Errorf("unknown option %q", name)
	}
	return nil
}

// SetLatency sets Options.Latency. It is safe for concurrent use.
func (s *Server) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }
