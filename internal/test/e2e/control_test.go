package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

// recipientsEach is the number of recipients of each campaign of these tests. Campaigns share no number.
const recipientsEach = 600

// acceptedMessages returns how many messages of a campaign the gateway has accepted. It fails the test if a number
// has two.
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

// Orders are pause, resume and cancel. The test gives every order twice before the restarts, and pauses and cancels
// again after them.
func TestOrdersOutliveWhateverIsRestarted(t *testing.T) {
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
			f := newDeployment(t, sandbox.Options{Latency: 20 * time.Millisecond}, "timeout: 1s", "max_recipients: 20")
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
			stood, gone := f.acceptedMessages(1), f.acceptedMessages(3)

			between(f)

			if s := f.status("paused"); s.State != producer.Paused || s.Accepted != stood || len(s.BlockedBy) == 0 || s.BlockedBy[0].By != "producer" {
				t.Errorf("paused: got %+v; the gateway had accepted %d", s, stood)
			}
			if s := f.status("scheduled"); time.Now().Before(startAt) && (s.State != producer.Scheduled || f.acceptedMessages(4) > 0) {
				t.Errorf("scheduled: got %+v", s)
			}
			if s := f.wait("resumed", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach {
				t.Errorf("resumed: got %+v", s)
			}
			if _, errOut, exit := f.tuma("resume", "cancelled"); exit != 1 || !strings.Contains(errOut, "the campaign was cancelled, which is permanent") {
				t.Errorf("resume of a cancelled campaign: exit %d, %s", exit, errOut)
			}
			if out, errOut, exit := f.tuma("resume", "resumed"); exit != 0 || !strings.Contains(out, "nothing left to send") {
				t.Errorf("resume of a finished campaign: exit %d, %s%s", exit, out, errOut)
			}
			f.must("pause", "paused")
			f.must("cancel", "cancelled")
			if f.acceptedMessages(1) != stood || f.acceptedMessages(3) != gone {
				t.Errorf("the gateway has accepted %d messages of the paused and %d of the cancelled campaign; before, it had accepted %d and %d",
					f.acceptedMessages(1), f.acceptedMessages(3), stood, gone)
			}
			if s := f.status("cancelled"); s.State != producer.Cancelled || s.Accepted != gone || s.Reasons["cancelled"] != recipientsEach-gone {
				t.Errorf("cancelled: got %+v; the gateway has accepted %d", s, gone)
			}
			f.must("resume", "paused")
			if s := f.wait("paused", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach || f.acceptedMessages(1) != recipientsEach {
				t.Errorf("paused and resumed: got %+v", s)
			}
			// A call whose worker died is doubtful, and becomes unknown if its campaign expires first.
			s := f.wait("expiring", time.Minute)
			if taken := f.acceptedMessages(5); s.State != producer.Done || s.Accepted+s.Unknown+s.Reasons["expired"] != recipientsEach ||
				s.Unknown > 0 && !strings.Contains(name, "worker") && name != "both are" || taken < s.Accepted || taken > s.Accepted+s.Unknown {
				t.Errorf("expiring: got %+v; the gateway has accepted %d", s, taken)
			}
			if s := f.wait("capped", time.Minute); s.State != producer.Done || s.Accepted != 90 || s.Reasons["over_cap"] != recipientsEach-90 || f.acceptedMessages(6) != 90 {
				t.Errorf("capped: got %+v", s)
			}
			if s := f.status("idle"); s.State != producer.Cancelled || s.Accepted+s.Reasons["cancelled"] != recipientsEach || s.Accepted != f.acceptedMessages(7) {
				t.Errorf("cancelled at once: got %+v", s)
			}
			if s := f.wait("scheduled", time.Minute); s.State != producer.Done || s.Accepted != recipientsEach || f.acceptedMessages(4) != recipientsEach {
				t.Errorf("scheduled: got %+v", s)
			}
		})
	}
}

func TestAfterAPauseOnlyTheCallsThatItReportedArrive(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, sandbox.Options{Latency: 10 * time.Millisecond}, "max_recipients: 5")
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
		t.Errorf("got status %+v", s)
	}
	f.compare("c", n)
}
