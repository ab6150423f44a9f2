package simulator

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Reports are the delivery reports that a gateway posts for accepted messages. The zero value posts
// no reports. The shares are from 0 to 1. The reports of a message depend only on Options.Seed and on
// the message's ID, so a run can be repeated.
type Reports struct {
	// URL is the callback URL. If it is empty, the gateway posts no reports.
	URL string
	// Delay is the average time from the acceptance to the report. The delay of a report is between 0 and twice
	// the average, so the reports come out of order.
	Delay time.Duration
	// Fail is the share of messages that are not delivered.
	Fail float64
	// Twice is the share of reports that are posted a second time. Early is the share of reports that are posted
	// before the reply to the call. Late is the share of reports with ten times the delay. Lost is the share of
	// reports that are never posted.
	Twice, Early, Late, Lost float64
	// Mangled is the share of messages whose reports have a changed ID: in upper case, or without the zeros after its
	// last underscore. Some gateways change IDs in their reports in this way.
	Mangled float64
	// If Interim is true, then before each final report the gateway also posts a report that is not final.
	Interim bool
}

// Reporter is implemented by a Vendor that posts delivery reports.
type Reporter interface {
	// ReportForm returns the form of a delivery report. The parameter "word" is "" for a delivered message, "sent"
	// for a report that is not final, and otherwise a number that chooses the reason of the failure.
	ReportForm(m ReportedMessage, word string) url.Values
}

// ReportedMessage is an accepted message.
type ReportedMessage struct {
	ID     string
	Number uint64
	// URL is the callback URL that the call named. If it is empty, Reports.URL applies.
	URL string
}

// ReportStats counts delivery reports.
type ReportStats struct {
	// Messages counts the accepted messages. Delivered and Undelivered count these messages by their final
	// status. Lost counts the messages whose reports are not posted.
	Messages    int `json:"messages"`
	Delivered   int `json:"delivered"`
	Undelivered int `json:"undelivered"`
	Lost        int `json:"lost"`
	// Taken counts the posts that got a 2xx. Refused counts the posts that got a 4xx; their reports are not
	// posted again. Repeated counts all other posts; their reports are posted again. Waiting counts the reports
	// that are not posted yet.
	Taken    int `json:"taken"`
	Repeated int `json:"repeated"`
	Refused  int `json:"refused"`
	Waiting  int `json:"waiting"`
}

// reporter posts the delivery reports of one gateway. Code that needs both locks must take the server's lock
// before the reporter's lock.
type reporter struct {
	vendor Reporter
	seed   uint64
	closed chan struct{}
	slots  chan struct{} // an element for each post in progress
	client *http.Client  // has a connection for each post in progress

	mu       sync.Mutex
	settings Reports
	stats    ReportStats
	finals   map[uint64]bool // maps a number to true if its last accepted message is delivered
	epoch    int             // incremented at each reset; reports of an earlier epoch are dropped
}

const (
	// reportPosts is how many reports are posted at once.
	reportPosts = 32
	// repeatReportAfter is the time until a report that got no 2xx is posted again. The time doubles with each try,
	// up to longestRepeat, because vendors also wait longer after each try.
	repeatReportAfter = 500 * time.Millisecond
	longestRepeat     = 4 * time.Second
	postTimeout       = 10 * time.Second
)

func newReporter(vendor Reporter, seed uint64, closed chan struct{}) *reporter {
	return &reporter{vendor: vendor, seed: seed, closed: closed, slots: make(chan struct{}, reportPosts),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: reportPosts, IdleConnTimeout: time.Second}}, finals: map[uint64]bool{}}
}

// chance returns a number from 0 up to 1. See the function "chance".
func (r *reporter) chance(id, question string) float64 {
	return chance(r.seed, id, question)
}

// The method "accepted" plans the reports about accepted messages. It posts the early reports at once, and
// returns when each of these was answered or could not be posted.
func (r *reporter) accepted(messages []ReportedMessage) {
	r.mu.Lock()
	s, epoch := r.settings, r.epoch
	if s.URL == "" && !slices.ContainsFunc(messages, func(m ReportedMessage) bool { return m.URL != "" }) {
		r.mu.Unlock()
		return
	}
	var early sync.WaitGroup
	for _, m := range messages {
		word := ""
		if r.chance(m.ID, "fail") < s.Fail {
			word = strconv.Itoa(int(r.chance(m.ID, "reason") * 1000))
		}
		r.stats.Messages++
		if r.finals[m.Number] = word == ""; word == "" {
			r.stats.Delivered++
		} else {
			r.stats.Undelivered++
		}
		if r.chance(m.ID, "lost") < s.Lost {
			r.stats.Lost++
			continue
		}
		delay := time.Duration(2 * r.chance(m.ID, "delay") * float64(s.Delay))
		if r.chance(m.ID, "late") < s.Late {
			delay *= 10
		}
		isEarly, isTwice := r.chance(m.ID, "early") < s.Early, r.chance(m.ID, "twice") < s.Twice
		again := time.Duration(4 * r.chance(m.ID, "again") * float64(s.Delay))
		if r.chance(m.ID, "mangled") < s.Mangled {
			m.ID = mangled(m.ID, r.chance(m.ID, "how") < 0.5)
		}
		if s.Interim {
			r.plan(epoch, m, "sent", delay/2, 0)
		}
		if isEarly {
			r.stats.Waiting++
			early.Go(func() { r.post(epoch, m, word, 0) })
		} else {
			r.plan(epoch, m, word, delay, 0)
		}
		if isTwice {
			r.plan(epoch, m, word, again, 0)
		}
	}
	r.mu.Unlock()
	early.Wait()
}

// mangled returns an ID in upper case, or without the zeros after its last underscore.
func mangled(id string, upper bool) string {
	if upper {
		return strings.ToUpper(id)
	}
	at := strings.LastIndexByte(id, '_') + 1
	return id[:at] + strings.TrimLeft(id[at:], "0")
}

// The method "plan" posts a report after a delay. The parameter "tries" is the number of earlier posts of this
// report. The caller holds the lock.
func (r *reporter) plan(epoch int, m ReportedMessage, word string, delay time.Duration, tries int) {
	r.stats.Waiting++
	time.AfterFunc(delay, func() { r.post(epoch, m, word, tries) })
}

// The method "post" posts a report once. If the answer is neither 2xx nor 4xx, it plans another try.
func (r *reporter) post(epoch int, m ReportedMessage, word string, tries int) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-r.closed:
		return
	}
	r.mu.Lock()
	to, current := cmp.Or(m.URL, r.settings.URL), r.epoch == epoch
	r.mu.Unlock()
	if !current {
		return
	}
	status := 0
	if to != "" {
		status = r.send(to, r.vendor.ReportForm(m, word))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return
	}
	r.stats.Waiting--
	switch {
	case status/100 == 2:
		r.stats.Taken++
	case status/100 == 4 || to == "":
		r.stats.Refused++
	default:
		r.stats.Repeated++
		r.plan(epoch, m, word, min(repeatReportAfter<<min(tries, 8), longestRepeat), tries+1)
	}
}

// The method "send" posts a form and returns the status of the answer. It returns 0 if it gets no answer.
func (r *reporter) send(to string, form url.Values) int {
	ctx, cancel := context.WithTimeout(context.Background(), postTimeout)
	defer cancel()
	go func() {
		select {
		case <-r.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return http.StatusBadRequest
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// The method "close" closes the idle connections.
func (r *reporter) close() { r.client.CloseIdleConnections() }

// The method "set" changes the settings for later messages. An empty URL also drops the reports that wait.
func (r *reporter) set(s Reports) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settings = s; s.URL == "" {
		r.drop()
	}
}

// The method "drop" drops the waiting reports. The caller holds the lock.
func (r *reporter) drop() {
	r.epoch++
	r.stats.Waiting = 0
}

// The method "reset" drops all reports and counts, and restores the first settings.
func (r *reporter) reset(s Reports) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	r.settings, r.stats, r.finals = s, ReportStats{}, map[uint64]bool{}
}

// ReportDelivery plans the delivery reports about messages that were just accepted, if reports are
// set for the gateway. The caller must not hold the lock of the State, because early reports are
// posted before ReportDelivery returns.
func (d *State) ReportDelivery(messages []ReportedMessage) {
	if r := d.server.gateways[d.name].reporter; r != nil {
		r.accepted(messages)
	}
}

// SetReports sets the delivery reports of the gateway's later messages. It returns an error if the gateway posts
// no delivery reports.
func (d *Gateway) SetReports(s Reports) error {
	if d.reporter == nil {
		return fmt.Errorf("%s posts no delivery reports", d.state.name)
	}
	if err := s.Check(); err != nil {
		return err
	}
	d.reporter.set(s)
	return nil
}

// Check returns an error that names the first setting that is out of its range.
func (s Reports) Check() error {
	if u, err := url.Parse(s.URL); err != nil || s.URL != "" && u.Host == "" {
		return errors.New("url must be the address of a callback, e.g. http://127.0.0.1:8090/callbacks/at/SECRET/delivery")
	}
	if s.Delay < 0 {
		return errors.New("delay must not be negative")
	}
	for i, share := range []float64{s.Fail, s.Twice, s.Early, s.Late, s.Lost, s.Mangled} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%s must be from 0 to 1", []string{"fail", "twice", "early", "late", "lost", "mangled"}[i])
		}
	}
	return nil
}

// ReportStats returns the counts of the gateway's delivery reports.
func (d *Gateway) ReportStats() ReportStats {
	if d.reporter == nil {
		return ReportStats{}
	}
	d.reporter.mu.Lock()
	defer d.reporter.mu.Unlock()
	return d.reporter.stats
}

// Finals maps each number to true if its last message is delivered according to the gateway.
func (d *Gateway) Finals() map[uint64]bool {
	out := map[uint64]bool{}
	if d.reporter == nil {
		return out
	}
	d.reporter.mu.Lock()
	defer d.reporter.mu.Unlock()
	for number, delivered := range d.reporter.finals {
		out[number] = delivered
	}
	return out
}

// controlReports serves the controls of delivery reports. The parameter "name" is the path below /_sandbox/.
func (s *Server) controlReports(w http.ResponseWriter, r *http.Request, d *Gateway, name string) {
	if r.Method == http.MethodPost {
		writeResult(w, s.setReports(r, d))
		return
	}
	writeReports(w, d, name == "finals")
}

// writeReports writes the counts of a gateway's delivery reports, or the final status of each number.
func writeReports(w http.ResponseWriter, d *Gateway, finals bool) {
	switch {
	case d == nil:
		http.Error(w, "gateway is missing", http.StatusBadRequest)
	case finals:
		out := bufio.NewWriter(w)
		for number, delivered := range d.Finals() {
			word := "undelivered"
			if delivered {
				word = "delivered"
			}
			_, _ = fmt.Fprintf(out, "%d %s\n", number, word)
		}
		_ = out.Flush()
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.ReportStats())
	}
}

// setReports sets the delivery reports of a gateway from a form.
func (s *Server) setReports(r *http.Request, d *Gateway) error {
	if d == nil {
		return fmt.Errorf("gateway is missing; the gateways are %q", s.Names())
	}
	x := Reports{URL: r.PostFormValue("url"), Interim: r.PostFormValue("interim") != ""}
	if text := r.PostFormValue("delay"); text != "" {
		var err error
		if x.Delay, err = time.ParseDuration(text); err != nil || x.Delay < 0 {
			return errors.New("delay must be a duration, e.g. 2s")
		}
	}
	for name, to := range map[string]*float64{"fail": &x.Fail, "twice": &x.Twice, "early": &x.Early, "late": &x.Late, "lost": &x.Lost, "mangled": &x.Mangled} {
		if text := r.PostFormValue(name); text != "" {
			var err error
			if *to, err = strconv.ParseFloat(text, 64); err != nil {
				return fmt.Errorf("%s must be a number from 0 to 1", name)
			}
		}
	}
	return d.SetReports(x)
}
