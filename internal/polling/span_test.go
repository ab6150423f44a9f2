package polling

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/textconnect"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// newSpanRig does what newRig does, but with a simulated TextConnect, which lists the reports of a span of time. For
// each request for a list, the field "asked" has the span. For a request about one message, the field has
// the word "status".
func newSpanRig(t testing.TB) *rig {
	t.Helper()
	r := newRig(t)
	r.span = time.Second
	r.gateway = simulator.New(simulator.Options{}, map[string]simulator.NewVendor{textconnect.Name: textconnectsim.New})
	web := httptest.NewServer(http.HandlerFunc(r.serveSpans))
	gateway := r.gateway
	t.Cleanup(func() { gateway.Close(); web.Close() })
	p, err := textconnect.New(textconnect.Config{Endpoint: providers.Endpoint{BaseURL: web.URL, Timeout: 5 * time.Second}, Token: "token"})
	r.ok(err)
	r.provider = p
	return r
}

// serveSpans is the HTTP handler of the simulated TextConnect. It records each request, and passes the requested
// span, or the word "status", to the function "answer".
func (r *rig) serveSpans(w http.ResponseWriter, req *http.Request) {
	form := r.body(req)
	if action := form.Get("Action"); action != "Report" && action != "CheckMessageStatus" {
		r.gateway.ServeHTTP(w, req)
		return
	}
	now := time.Now()
	span := "status"
	if form.Get("Action") == "Report" {
		span = form.Get("From") + " " + form.Get("To")
	}
	r.mu.Lock()
	answer := r.answer
	r.arrivals, r.asked = append(r.arrivals, now), append(r.asked, span)
	r.open[span]++
	r.together = max(r.together, r.open[span])
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.open[span]--
		r.mu.Unlock()
	}()
	if answer != nil && answer(w, span) {
		return
	}
	r.gateway.ServeHTTP(w, req)
}

// Three processes poll at once. Two campaigns with 450 messages get all reports with a few requests. Each
// request is for all messages of a span, and no request is about a single message.
func TestSpans_OneRequestServesAllMessages(t *testing.T) {
	t.Parallel()
	r := newSpanRig(t)
	r.send("a", 8, 50)
	r.send("b", 1, 50)
	began := time.Now()
	r.run(func() bool { return r.final("a") == 400 && r.final("b") == 50 && r.isEmpty() }, r.poller(5, time.Millisecond), r.poller(5, time.Millisecond), r.poller(5, time.Millisecond))
	if n, most := r.requests(), int(time.Since(began)/r.span)+4; n > most || slices.Contains(r.asked, "status") {
		t.Errorf("%d requests about 450 messages: %q; want a request for each span, at most %d, and none about one message", n, r.asked, most)
	}
	if r.together > 1 || r.counts[tracking.Delivered] != 450 || r.counts[tracking.Duplicate] > 0 {
		t.Errorf("%d requests about one span at once, counts %v; want 1, and 450 delivered", r.together, r.counts)
	}
	r.withinBudget(5)
	if len(r.applied) != 450 {
		t.Errorf("%d recipients were reported as applied, want 450", len(r.applied))
	}
	for row, err := range r.ledger.ResultsAfter(t.Context(), "a", 0) {
		if err != nil || row.Status != campaign.Delivered || row.DeliveredAt.IsZero() || row.DeliveredAt.After(time.Now()) {
			t.Fatalf("got %s, delivered at %v, and the error %v; want a time of delivery", row.Status, row.DeliveredAt, err)
		}
	}
}

// Some messages get their final report only in a later step. Messages that never get a final report leave no
// key.
func TestSpans_FollowTheSchedule(t *testing.T) {
	t.Parallel()
	r := newSpanRig(t)
	for name, value := range map[string]string{"report_delay": "1s", "report_lost": "0.2", "report_fail": "0.3"} {
		_, err := textconnectsim.Of(r.gateway).SetOption(name, value)
		r.ok(err)
	}
	r.send("c", 2, 100)
	r.run(r.isEmpty, r.poller(50, time.Millisecond, time.Second, 4*time.Second, 100*time.Hour))
	s, err := r.ledger.Summary(t.Context(), "c")
	r.ok(err)
	if s.Accepted < 15 || s.Accepted > 70 || s.Undelivered < 20 || s.Delivered+s.Undelivered+s.Accepted != 200 || r.counts[tracking.Pending] == 0 {
		t.Errorf("got %+v, counts %v; want about 40 accepted, 48 undelivered and 112 delivered", s.Counts, r.counts)
	}
	for row, err := range r.ledger.ResultsAfter(t.Context(), "c", 0) {
		if r.ok(err); row.Status == campaign.Undelivered && row.Reason == "" {
			t.Fatalf("row %d is undelivered without a reason", row.Row)
		}
	}
}

// If the client cannot read a list as a whole, the list is requested in halves, within the budget. A list may name
// foreign messages, a message twice, or a message with a wrong recipient. The other reports of such a list are applied.
func TestSpans_LongAndStrangeLists(t *testing.T) {
	t.Parallel()
	r := newSpanRig(t)
	r.send("c", 1, 4)
	ids := r.messageIDs("c")
	long := 0
	r.answer = func(w http.ResponseWriter, span string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if long++; long <= 2 {
			_, _ = io.Copy(w, io.LimitReader(endless{}, 17<<20))
			return true
		}
		row := func(id, to, state string) string {
			return fmt.Sprintf("%q,\"u\",%q,\"ACME\",%q,\"\",\"\",\"\"\n", id, to, state)
		}
		_, _ = io.WriteString(w, `"MessageID","Username","Destination","Source","Status","Schedule Date","Sent Date","Delivery Date"`+"\n"+
			row("1", "447700900001", "Delivered")+row(ids[0], "2348030000001", "Sent")+row(ids[0], "2348030000001", "Delivered")+row(ids[0], "2348030000001", "FAILED")+
			row(ids[1], "447700900002", "FAILED")+row(ids[2], "list", "EXPIRED")+row("0"+ids[3], "2348030000004", "Delivered"))
		return true
	}
	r.run(r.isEmpty, r.poller(100, time.Millisecond, 100*time.Hour))
	var got []string
	for row, err := range r.ledger.ResultsAfter(t.Context(), "c", 0) {
		r.ok(err)
		got = append(got, row.Status.String())
	}
	if want := []string{"delivered", "accepted", "undelivered", "accepted"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := r.requests(); n < 6 || n > 16 {
		t.Errorf("%d requests %q, want two for lists that are too long, and one for each quarter", n, r.asked)
	}
}

// A faulty gateway may send a list that does not end, even for the shortest time range. Such a list costs
// only a few requests in each step. After a refused login, or an answer in another form, no report is lost.
func TestSpans_GatewayThatFails(t *testing.T) {
	t.Parallel()
	r := newSpanRig(t)
	r.send("c", 1, 4)
	n := 0
	r.answer = func(w http.ResponseWriter, _ string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch n++; {
		case n == 1:
			_, _ = io.WriteString(w, "-501")
		case n == 2:
			_, _ = io.WriteString(w, "<html>maintenance</html>")
		case n <= 8 && n > 2:
			_, _ = io.Copy(w, io.LimitReader(endless{}, 17<<20))
		default:
			return false
		}
		return true
	}
	r.run(func() bool { return r.final("c") == 4 && r.isEmpty() }, r.poller(100, time.Millisecond, 3*time.Second, 10*time.Second, 15*time.Second))
	if got := r.requests(); got > 12 {
		t.Errorf("%d requests, want two that failed, at most five for the list that never ends, and then the list", got)
	}
}

// A call that is added twice is in its span once. If a call is added while the span is leased, the span stays and is
// due again. A process whose lease has ended cannot remove calls from the span.
func TestSpans_LateAndRepeatedCalls(t *testing.T) {
	t.Parallel()
	r := newSpanRig(t)
	ctx := t.Context()
	now, err := r.ledger.Now(ctx)
	r.ok(err)
	q := NewQueue(r.ledger.Runner(), "login", 5)
	q.schedule, q.span, q.mostInSpan = []time.Duration{0}, time.Second, 2
	call := func(n int) ledger.SentCall {
		return ledger.SentCall{BatchRef: ledger.BatchRef{Campaign: "c", Upload: "u", Name: "0.0"}, Call: n, At: now.Add(-time.Minute)}
	}
	take := func(want bool) Call {
		t.Helper()
		c, _, ok, err := q.Take(ctx, time.Minute)
		if r.ok(err); ok != want {
			t.Fatalf("took %+v, %t; want %t", c, ok, want)
		}
		return c
	}
	members := func(c Call) (out []string) {
		t.Helper()
		out, err := q.members(ctx, c.Span)
		r.ok(err)
		slices.Sort(out)
		return out
	}
	for range 2 {
		r.ok(q.AddToSpan(ctx, call(1), time.Hour))
	}
	c := take(true)
	take(false) // never two at once
	if got := members(c); !slices.Equal(got, []string{"c:u 0.0.1.0"}) || c.Span != spanOf(call(1).At, time.Second) {
		t.Fatalf("got the calls %q of the span %v", got, c.Span)
	}
	r.ok(q.AddToSpan(ctx, call(2), time.Hour)) // while it is leased
	if err := q.AddToSpan(ctx, call(3), time.Hour); err == nil || !strings.Contains(err.Error(), ErrFull.Error()) {
		t.Errorf("a third call: got %v, want ErrFull", err)
	}
	r.ok(q.Leave(ctx, c, time.Minute, []string{"c:u 0.0.1.0"}))
	r.ok(q.EndSpan(ctx, c)) // the span stays, because of the second call
	again := take(true)
	if got := members(again); again.Span != c.Span || again.Step != 0 || !slices.Equal(got, []string{"c:u 0.0.2.0"}) {
		t.Errorf("got %+v with the calls %q, want the same span with the second call", again, got)
	}
	if err := q.Leave(ctx, c, time.Minute, nil); err == nil {
		t.Error("the first lease is still valid")
	}
	r.ok(q.EndSpan(ctx, c)) // has no effect, because the lease is lost
	r.ok(q.Leave(ctx, again, time.Minute, members(again)))
	r.ok(q.EndSpan(ctx, again))
	take(false)
	if keys, err := r.rdb.Keys(ctx, "tuma:polls:{login}*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("keys %q are left, error %v", keys, err)
	}
}

func TestSpan_NamesAreParsed(t *testing.T) {
	t.Parallel()
	s := spanOf(time.UnixMilli(1_764_323_173_456), time.Minute)
	if got, ok := parseSpan(s.name()); !ok || got != s || s.name() != "1764323160000+60000" {
		t.Errorf("%s was parsed as %v, %t", s.name(), got, ok)
	}
	for _, bad := range []string{"", "1", "1+", "+1", "a+1", "1+a", "1+0", "1+-5", "1+9999999999999"} {
		if got, ok := parseSpan(bad); ok {
			t.Errorf("%q was parsed as %v", bad, got)
		}
	}
	from, to := s.asked(2*time.Minute, 4*time.Minute, s.Start.Add(time.Hour))
	if s.Start.Sub(from) != 2*time.Minute || to.Sub(s.end()) != 4*time.Minute {
		t.Errorf("asked from %v to %v", from, to)
	}
	if _, to = s.asked(time.Minute, time.Minute, s.end().Add(time.Second)); to != s.end().Add(time.Second) {
		t.Errorf("asked to %v, which is after now", to)
	}
	now := s.end().Add(time.Hour)
	for at, want := range map[time.Time]time.Time{{}: now, s.end(): s.end(), now.Add(time.Second): now, s.Start.Add(-time.Hour): now} {
		if got := s.reported(at, now); got != want {
			t.Errorf("a report of %v counts as of %v, want %v", at, got, want)
		}
	}
}

// messageIDs returns the message IDs of a campaign by row.
func (r *rig) messageIDs(id string) (ids []string) {
	r.Helper()
	for row, err := range r.ledger.ResultsAfter(r.Context(), id, 0) {
		r.ok(err)
		ids = append(ids, row.MessageID)
	}
	return ids
}

// The type "endless" is a reader of a list that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
