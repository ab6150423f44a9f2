package polling

import (
	"embed"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/ratelimit"
)

//go:embed *.lua
var luaFiles embed.FS

// body returns the form of a request. The request can be read again afterwards.
func (r *rig) body(req *http.Request) url.Values {
	text, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(text)))
	form, _ := url.ParseQuery(string(text))
	return form
}

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"add": {addArgs{}}, "take": {takeArgs{}}, "ask": {askArgs{}}, "answered": {answeredArgs{}}, "put": {putArgs{}},
		"join_span": {joinSpanArgs{}}, "leave_span": {leaveSpanArgs{}}, "end_span": {endSpanArgs{}},
	})
	scripttest.SameNames(t, luaFiles)
}

// Three processes poll at once. The gateway counts the requests in each sliding second, and the requests about one
// message that are in flight at once. Its answers take up to 150 ms.
func TestPoller_BudgetHoldsInEachSlidingSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("c", 6, 15)
	n := 0
	r.answer = func(http.ResponseWriter, string) bool {
		r.mu.Lock()
		n++
		delay := time.Duration(n*37%150) * time.Millisecond
		r.mu.Unlock()
		<-time.After(delay)
		return false
	}
	began := time.Now()
	r.run(func() bool { return r.final("c") == 90 }, r.poller(20, time.Millisecond), r.poller(20, time.Millisecond), r.poller(20, time.Millisecond))
	r.withinBudget(20)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("90 requests at 20 a second took %s, want about 5 s", took)
	}
	if r.requests() != 90 || r.together > 1 {
		t.Errorf("%d requests about 90 messages, up to %d about one message at once; want 90 and 1", r.requests(), r.together)
	}
	if !r.isEmpty() || r.counts[tracking.Delivered] != 90 {
		t.Errorf("counts %v; the queue is empty: %t", r.counts, r.isEmpty())
	}
}

// Two processes poll. The test kills and replaces the first process, and then the second. The other process
// continues each time. Two processes never send requests about one message at once.
func TestPoller_KilledProcessIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("c", 8, 10)
	r.answer = func(http.ResponseWriter, string) bool { <-time.After(30 * time.Millisecond); return false }
	a, b := r.startChild("40/s"), r.startChild("40/s")
	for _, after := range []int{10, 25, 40} {
		r.until(func() bool { return r.requests() >= after })
		r.ok(a.Kill())
		a, b = b, r.startChild("40/s")
	}
	r.until(func() bool { return r.final("c") == 80 })
	r.ok(a.Kill())
	r.ok(b.Kill())
	r.withinBudget(40)
	if r.together > 1 {
		t.Errorf("%d requests about one message at once", r.together)
	}
	if n := r.requests(); n < 80 || n > 80+3*maxAskers {
		t.Errorf("%d requests about 80 messages, want no more than those in flight at the three kills besides", n)
	}
}

// As long as a message has no final report, one request is sent in each step of the schedule. After the last step, and
// after a final report, no further request is sent.
func TestPoller_FollowsTheSchedule(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("c", 1, 4)
	var lost string
	r.answer = func(w http.ResponseWriter, id string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if lost == "" {
			lost = id
		}
		if id == lost {
			_, _ = io.WriteString(w, "ENROUTE")
			return true
		}
		return false
	}
	schedule := []time.Duration{time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, 100 * time.Hour}
	r.run(r.isEmpty, r.poller(100, schedule...))
	asked := map[string]int{}
	for _, id := range r.asked {
		asked[id]++
	}
	if len(asked) != 4 || asked[lost] < 2 || asked[lost] > 3 || r.requests() != 3+asked[lost] {
		t.Errorf("requests by message: %v; want one for three messages, and up to three for %s", asked, lost)
	}
	if r.counts[tracking.Delivered] != 3 || r.counts[tracking.Pending] != asked[lost] {
		t.Errorf("counts %v", r.counts)
	}
}

// A small campaign does not wait for a large campaign that was sent before.
func TestPoller_IsFairAmongCampaigns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("large", 10, 40)
	r.send("small", 1, 5)
	r.run(func() bool { return r.final("small") == 5 }, r.poller(200, time.Millisecond))
	if n := r.requests(); n > 5+2*maxAskers*atOnce || n < 5 {
		t.Errorf("the small campaign had its reports after %d requests", n)
	}
	if r.final("large") == 400 {
		t.Error("the large campaign had all its reports first")
	}
}

// An undelivered message has the gateway's reason.
func TestPoller_StoresTheReason(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("c", 1, 1)
	kobosim.Of(r.gateway).SetReport("UNDELIV err:0dc")
	r.run(func() bool { return r.final("c") == 1 }, r.poller(100, time.Millisecond))
	for row, err := range r.ledger.ResultsAfter(t.Context(), "c", 0) {
		r.ok(err)
		if row.Status.String() != "undelivered" || row.Code != "UNDELIV" || row.Reason != "err 0dc" {
			t.Errorf("got %s, code %q, reason %q", row.Status, row.Code, row.Reason)
		}
	}
}

// If the gateway refuses the login, the poller repeats the failed requests later. If the gateway does
// not know one message, the poller requests the other messages without a pause.
func TestPoller_GatewayThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.send("c", 1, 6)
	refused := 0
	r.answer = func(w http.ResponseWriter, _ string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if refused++; refused <= 2 {
			_, _ = io.WriteString(w, "error_user")
			return true
		}
		if refused == 4 {
			_, _ = io.WriteString(w, "error_msgid")
			return true
		}
		return false
	}
	r.run(r.isEmpty, r.poller(100, time.Millisecond))
	if r.requests() != 8 || r.final("c") != 5 {
		t.Errorf("%d requests, %d final reports; want 8 and 5", r.requests(), r.final("c"))
	}
}

func TestBudget_NeverExceedsTheRate(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]budget{
		5:       {5, time.Second + windowMargin},
		2.5:     {2, time.Second + windowMargin},
		0.5:     {1, 2*time.Second + windowMargin},
		1:       {1, time.Second + windowMargin},
		1000000: {maxParts, time.Second + windowMargin},
		0:       {5, time.Second + windowMargin},
	} {
		got := budgetOf(ratelimit.Rate(rate))
		if got.parts != want.parts || (got.window-want.window).Abs() > time.Millisecond {
			t.Errorf("%v/s: got %+v, want %+v", rate, got, want)
		}
	}
}

func TestCall_NamesAreParsed(t *testing.T) {
	t.Parallel()
	c, ok := parseCall("a:b.c:tok_en-1", "3.14.15.9")
	if !ok || c.Campaign != "a:b.c" || c.Upload != "tok_en-1" || c.Name != "3.14" || c.Call != 15 || c.Generation != 9 {
		t.Errorf("got %+v, %t", c, ok)
	}
	if campaignName(c.BatchRef) != "a:b.c:tok_en-1" || callName(c.SentCall) != "3.14.15.9" {
		t.Errorf("written as %q and %q", campaignName(c.BatchRef), callName(c.SentCall))
	}
	for _, bad := range [][2]string{{"x", "1.2.3.4"}, {"x:y", "1.2.3"}, {"x:y", "1.2.a.4"}, {"", ""}} {
		if _, ok := parseCall(bad[0], bad[1]); ok {
			t.Errorf("%q was parsed", bad)
		}
	}
}

func TestCall_NextStep(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_764_323_173_000)
	after := func(late time.Duration, step int, wait time.Duration) time.Duration {
		c := Call{Step: step, Position: 7}
		c.At = at
		if c = c.next(defaultSchedule, at.Add(late), wait); c.Due.IsZero() {
			return 0
		}
		return c.Due.Sub(at)
	}
	got := []time.Duration{after(time.Minute, 0, 72*time.Hour), after(11*time.Minute, 0, 72*time.Hour), after(25*time.Hour, 4, 72*time.Hour),
		after(80*time.Hour, 4, 72*time.Hour), after(7*time.Hour, 3, 24*time.Hour), after(25*time.Hour, 4, 24*time.Hour), after(73*time.Hour, 5, 72*time.Hour)}
	want := []time.Duration{10 * time.Minute, time.Hour, 72 * time.Hour, 0, 24 * time.Hour, 0, 0}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A campaign of 400 messages has a sample of 20. All requests are about this sample. Each of six steps sends at most
// one request for each message. In the same way, a million messages with a sample of 1,000 cost at most 6,000 requests.
func TestPoller_SampleBoundsTheRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sample = 20
	r.send("c", 10, 40)
	r.answer = func(w http.ResponseWriter, _ string) bool { _, _ = io.WriteString(w, "ENROUTE"); return true }
	schedule := make([]time.Duration, 6)
	for i := range schedule {
		schedule[i] = time.Millisecond + time.Duration(i)*2*time.Second
	}
	r.run(r.isEmpty, r.poller(1000, schedule...), r.poller(1000, schedule...))
	slices.Sort(r.asked)
	if n := len(slices.Compact(slices.Clone(r.asked))); n != 20 || r.requests() > 6*20 || r.requests() < 2*20 {
		t.Errorf("%d requests about %d messages, want up to 120 about 20", r.requests(), n)
	}
}

// The status of a campaign with a sample has the delivery rate of the sample and the confidence interval of this rate.
func TestPoller_StatusHasTheIntervalOfTheSample(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sample = 50
	r.send("c", 10, 40)
	if _, err := kobosim.Of(r.gateway).SetOption("report_fail", "0.3"); err != nil {
		t.Fatal(err)
	}
	r.run(func() bool { return r.final("c") == 50 }, r.poller(100, time.Millisecond))
	card := campaign.Card{Name: "kobo-main", Info: r.kobo.Info(), Unit: campaign.UnitMessages, ReportFor: time.Hour, ReportSample: 50}
	r.ok(accounts.New(r.ledger.Runner()).Publish(t.Context(), "worker", card))
	client, err := producer.New(r.rdb)
	r.ok(err)
	s, err := client.Status(t.Context(), "c")
	r.ok(err)
	x := s.Reports
	if x == nil || !x.Sampled || x.Expected != 50 || x.Final != 50 || x.Rate == nil || x.Low == nil || x.High == nil {
		t.Fatalf("got %+v", x)
	}
	low, high := campaign.Wilson(s.Delivered, 50)
	if *x.Low != low || *x.High != high || *x.Rate <= low || *x.Rate >= high || *x.Rate != float64(s.Delivered)/50 || s.Accepted != 350 {
		t.Errorf("rate %v, from %v to %v, with the counts %+v", *x.Rate, *x.Low, *x.High, s.Counts)
	}
}
