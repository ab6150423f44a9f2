package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// recipientsEach is the number of recipients of each campaign of these tests. Two campaigns never share a phone
// number.
const recipientsEach = 600

// acceptedMessages returns how many messages of a campaign the gateway has accepted. It fails the
// test if the gateway has accepted two messages to one number.
func (f *deployment) acceptedMessages(campaign int) (n int) {
	f.t.Helper()
	for r := range campaignNumbers(campaign, recipientsEach) {
		count := f.gateway.Accepted(mustNumber(f.t, r.Number[1:]))
		if count > 1 {
			f.t.Fatalf("%s was accepted %d times", r.Number, count)
		}
		n += count
	}
	return n
}

func (f *deployment) enqueue(n int, c producer.Campaign) {
	f.t.Helper()
	c.Via, c.Body = "kobo-main", text
	if _, err := f.client.Enqueue(f.t.Context(), c, campaignNumbers(n, recipientsEach)); err != nil {
		f.t.Fatal(err)
	}
}

// The test gives each order (pause, resume and cancel) twice before the restarts. After the restarts, it pauses and
// cancels again.
func TestPauseResumeCancel_SurviveRestarts(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*deployment){
		"nothing": func(*deployment) {},
		"the worker is killed": func(f *deployment) {
			f.kill(f.workers[0])
			f.spawn()
		},
		"redis is killed": func(f *deployment) {
			f.redis.Kill()
			f.redis.Restart()
		},
		"both are": func(f *deployment) {
			f.kill(f.workers[0])
			f.redis.Kill()
			f.redis.Restart()
			f.spawn()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := giveOrders(t)
			between(o.deployment)
			o.checkOrders()
			o.checkLimits(strings.Contains(name, "worker") || name == "both are")
		})
	}
}

// ordered is a deployment with campaigns to which giveOrders has given orders. Each campaign has
// recipientsEach recipients.
type ordered struct {
	*deployment
	startAt           time.Time // of the campaign "scheduled"
	paused, cancelled int       // how many messages of the paused and of the cancelled campaign were accepted when the test gave the orders
}

// giveOrders enqueues campaigns, and gives each order (pause, resume and cancel) twice.
func giveOrders(t *testing.T) *ordered {
	t.Helper()
	f := newDeployment(t, simulator.Options{Latency: 20 * time.Millisecond}, "timeout: 1s", "max_recipients: 20")
	f.write("tuma.yaml", strings.Replace(f.read("tuma.yaml"), `rate: "0"`, "rate: 200/s", 1))
	f.start()
	startAt, expiresAt := time.Now().Add(8*time.Second), time.Now().Add(5*time.Second)
	for n, c := range []producer.Campaign{
		{ID: "paused"}, {ID: "resumed"}, {ID: "cancelled"}, {ID: "scheduled", StartAt: startAt}, {ID: "expiring", ExpiresAt: expiresAt},
		{ID: "capped", MaxSegments: 90}, {ID: "idle"},
	} {
		f.enqueue(n+1, c)
		if c.ID == "idle" {
			f.must("cancel", c.ID)
		}
	}
	for _, id := range []string{"paused", "resumed", "cancelled"} {
		f.eventually(30*time.Second, id+" to begin", func() bool { return f.status(id).Accepted > 0 })
	}
	for range 2 {
		f.must("pause", "paused")
		f.must("pause", "resumed")
		f.must("cancel", "cancelled")
	}
	for range 2 {
		f.must("resume", "resumed")
	}
	return &ordered{deployment: f, startAt: startAt, paused: f.acceptedMessages(1), cancelled: f.acceptedMessages(3)}
}

// checkOrders checks the campaigns that were paused, resumed and cancelled, and gives further orders.
func (o *ordered) checkOrders() {
	o.t.Helper()
	if s := o.status("paused"); s.State != producer.Paused || s.Accepted != o.paused || len(s.BlockedBy) == 0 || s.BlockedBy[0].By != "producer" {
		o.t.Errorf("paused: got %+v; the gateway had accepted %d, want state paused by producer and no message since", s, o.paused)
	}
	if s := o.status("scheduled"); time.Now().Before(o.startAt) && (s.State != producer.Scheduled || o.acceptedMessages(4) > 0) {
		o.t.Errorf("scheduled: got %+v, want state scheduled and no message before the start", s)
	}
	if s := o.wait("resumed", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach {
		o.t.Errorf("resumed: got %+v, want state done and %d accepted", s, recipientsEach)
	}
	if _, errOut, exit := o.tuma("resume", "cancelled"); exit != 1 || !strings.Contains(errOut, "the campaign was cancelled, which is permanent") {
		o.t.Errorf("resume of a cancelled campaign: exit %d, %s", exit, errOut)
	}
	if out, errOut, exit := o.tuma("resume", "resumed"); exit != 0 || !strings.Contains(out, "nothing left to send") {
		o.t.Errorf("resume of a finished campaign: exit %d, %s%s", exit, out, errOut)
	}
	o.must("pause", "paused")
	o.must("cancel", "cancelled")
	if o.acceptedMessages(1) != o.paused || o.acceptedMessages(3) != o.cancelled {
		o.t.Errorf("the gateway has accepted %d messages of the paused and %d of the cancelled campaign; before, it had accepted %d and %d",
			o.acceptedMessages(1), o.acceptedMessages(3), o.paused, o.cancelled)
	}
	if s := o.status("cancelled"); s.State != producer.Cancelled || s.Accepted != o.cancelled || s.Reasons["cancelled"] != recipientsEach-o.cancelled {
		o.t.Errorf("cancelled: got %+v; the gateway has accepted %d, want state cancelled, %d accepted and %d cancelled", s, o.cancelled, o.cancelled, recipientsEach-o.cancelled)
	}
	o.must("resume", "paused")
	if s := o.wait("paused", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach || o.acceptedMessages(1) != recipientsEach {
		o.t.Errorf("paused and resumed: got %+v, want state done and %d accepted, also at the gateway", s, recipientsEach)
	}
}

// checkLimits checks four campaigns. One expires, one has a cap, one begins later, and one was cancelled at once.
// Recipients may become unknown only if a worker was killed.
func (o *ordered) checkLimits(killed bool) {
	o.t.Helper()
	// A call whose worker died is doubtful. If its campaign expires before another worker repeats
	// the call, its recipients become unknown.
	s := o.wait("expiring", time.Minute)
	if taken := o.acceptedMessages(5); s.State != producer.Done || s.Accepted+s.Unknown+s.Reasons["expired"] != recipientsEach ||
		s.Unknown > 0 && !killed || taken < s.Accepted || taken > s.Accepted+s.Unknown {
		o.t.Errorf("expiring: got %+v; the gateway has accepted %d", s, taken)
	}
	if s := o.wait("capped", time.Minute); s.State != producer.Done || s.Accepted != 90 || s.Reasons["over_cap"] != recipientsEach-90 || o.acceptedMessages(6) != 90 {
		o.t.Errorf("capped: got %+v, want state done, 90 accepted, also at the gateway, and the others over the cap", s)
	}
	if s := o.status("idle"); s.State != producer.Cancelled || s.Accepted+s.Reasons["cancelled"] != recipientsEach || s.Accepted != o.acceptedMessages(7) {
		o.t.Errorf("cancelled at once: got %+v, want state cancelled, and each recipient accepted or cancelled as at the gateway", s)
	}
	if s := o.wait("scheduled", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach || o.acceptedMessages(4) != recipientsEach {
		o.t.Errorf("scheduled: got %+v, want state done and %d accepted, also at the gateway", s, recipientsEach)
	}
}

func TestPause_OnlyReportedCallsArriveAfterIt(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{Latency: 10 * time.Millisecond}, "max_recipients: 5")
	f.start()
	f.start()
	const n = 20_000
	if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: text}, campaignNumbers(1, n)); err != nil {
		t.Fatal(err)
	}
	seen, inFlight := int64(0), 0
	for i := range 20 {
		f.eventually(30*time.Second, "calls", func() bool { return f.gateway.Stats().Calls > seen+50 })
		flight, err := f.client.Pause(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		at := f.gateway.Stats().Calls
		f.eventually(30*time.Second, "the calls in flight", func() bool { return f.status("c").InFlight.Calls == 0 })
		landed := f.gateway.Stats().Calls
		if landed-at > int64(flight.Calls) {
			t.Errorf("pause %d: %d calls arrived after it, but it reported %d in flight", i, landed-at, flight.Calls)
		}
		inFlight += flight.Calls
		<-time.After(30 * time.Millisecond)
		if seen = f.gateway.Stats().Calls; seen != landed {
			t.Errorf("pause %d: %d calls began after the calls in flight had ended", i, seen-landed)
		}
		if _, err := f.client.Resume(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
	}
	if inFlight == 0 {
		t.Error("no pause reported a call in flight")
	}
	if s := f.wait("c", 2*time.Minute); s.Accepted != n || s.Calls != n/5 {
		t.Errorf("got status %+v, want %d accepted and %d calls", s, n, n/5)
	}
	f.compare("c", n)
}
