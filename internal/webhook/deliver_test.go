package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/producer"
)

func TestDeliver_SignedAndOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	list := *r.service.configured.Load()
	list[0].Events = []string{events.CampaignState, events.OptOutAdded}
	r.service.SetConfigured(list)
	r.progress("a", 1)
	r.change("a", 2)
	r.add(events.Event{Kind: events.AccountHeld, Account: "kobo-main", Reason: "credit"})
	r.add(events.Event{Kind: events.OptOutAdded, List: "*", Added: 1, Number: "254712345678"})
	r.deliver()
	_, taken := r.receiver.got()
	slices.Sort(taken)
	if want := []string{"a 2", "optout.added"}; !slices.Equal(taken, want) {
		t.Fatalf("the receiver has %q, want %q", taken, want)
	}
	for _, m := range r.receiver.taken {
		if m.ID != "evt_"+m.Data.Cursor || m.Type != string(m.Data.Kind) || !m.At.Equal(m.Data.At) || m.At.IsZero() {
			t.Errorf("got the message %+v", m)
		}
	}
	last, err := r.client.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := r.state(); s.Cursor != last || s.Waiting != 0 || s.LastDelivery.IsZero() || s.Disabled {
		t.Errorf("the state is %+v, want the cursor %s", s, last)
	}
	if requests, _ := r.receiver.got(); requests != 2 || r.deliver() != r.service.poll {
		t.Errorf("%d requests, want 2 and nothing to do afterwards", requests)
	}
}

// A receiver that is down for an hour gets every event afterwards. The events of one campaign arrive in their
// order.
func TestDeliver_ReceiverDownAnHour(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver.set(status(http.StatusInternalServerError))
	campaigns := []string{"a", "b", "c", "d"}
	n := 0
	for range 360 { // an hour in steps of 10 s
		if n < 200 {
			for _, c := range campaigns {
				r.change(c, n)
			}
			n++
		}
		r.deliver()
		r.move(10 * time.Second)
	}
	failing, taken := r.receiver.got()
	if failing > 60 || len(taken) > 0 {
		t.Errorf("%d requests in the hour, want a few: the receiver is down", failing)
	}
	if s := r.state(); s.Failures < openAfter || s.Waiting > 100 || s.PausedUntil.IsZero() || !strings.Contains(s.LastError, "500") {
		t.Errorf("the state is %+v, want a pause, and most events still in the stream", s)
	}
	r.receiver.set(nil)
	back := 0
	for ; back < 60; back++ {
		r.deliver()
		if _, taken = r.receiver.got(); len(taken) >= 4*n {
			break
		}
		r.move(10 * time.Second)
	}
	if back > 31 {
		t.Errorf("all events were there %d s after the receiver was back, want at most %s", back*10, lastPause)
	}
	for _, c := range campaigns {
		var got, want []string
		for _, text := range taken {
			if strings.HasPrefix(text, c+" ") {
				got = append(got, text)
			}
		}
		for i := range n {
			want = append(want, fmt.Sprintf("%s %d", c, i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("campaign %s: got %q, want each event once and in order", c, got)
		}
	}
	if s := r.state(); s.Failures != 0 || s.Waiting != 0 || s.Dead != 0 {
		t.Errorf("the state is %+v, want nothing waiting", s)
	}
	if log := r.log.String(); strings.Count(log, "fails") != 1 || strings.Count(log, "webhook is back") != 1 || strings.Contains(log, "in-the-url") || strings.Contains(log, "whsec_") {
		t.Errorf("the log is %s; want one line for the pause and one for its end, without the URL and secrets", log)
	}
}

// If the receiver never takes a message, only the messages of its campaign are delayed. After 24 h the message is in
// the dead list. From there it can be delivered again.
func TestDeliver_OneBadMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bad := func(w http.ResponseWriter, m message) bool {
		if m.Data.Campaign == "bad" && m.Data.Counts.Pending == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return false
		}
		return true
	}
	r.receiver.set(bad)
	r.change("bad", 0)
	r.change("bad", 1)
	r.progress("bad", 2)
	r.progress("bad", 3)
	tries := 0
	for hours := range 26 {
		r.change("good", hours)
		for range 60 {
			r.deliver()
			r.move(time.Minute)
		}
		if hours == 22 {
			tries, _ = r.receiver.got()
			if s := r.state(); s.Dead != 0 || s.Waiting != 3 {
				t.Errorf("after 23 hours the state is %+v, want three messages waiting: of two progresses the newer one", s)
			}
		}
	}
	_, taken := r.receiver.got()
	want := []string{"bad 1", "bad 3"}
	for i := range 26 {
		want = append(want, "good "+strconv.Itoa(i))
	}
	slices.Sort(want)
	slices.Sort(taken)
	if !slices.Equal(taken, want) {
		t.Errorf("got %q, want %q", taken, want)
	}
	if tries < 25 || tries > 80 {
		t.Errorf("%d requests in 23 hours, want the bad message about every hour", tries)
	}
	r.redeliverOne(len(want))
}

// redeliverOne checks that the dead list has only the message of the campaign "bad", and delivers this message again. n
// is the number of messages that the receiver has taken before.
func (r *rig) redeliverOne(n int) {
	r.Helper()
	dead, err := r.service.Dead(r.Context(), "hook", "", 10)
	if err != nil || len(dead) != 1 {
		r.Fatalf("the dead list has %d messages, %v; want one", len(dead), err)
	}
	if d := dead[0]; d.Event.Campaign != "bad" || d.Event.Kind != producer.CampaignStateChanged || d.Attempts < 20 || !strings.Contains(d.Error, "400") || d.MessageID != "evt_"+d.Event.Cursor {
		r.Errorf("the dead message is %+v", d)
	}
	r.receiver.set(nil)
	for _, x := range []struct {
		id   string
		want int
	}{{"1-1", 0}, {dead[0].ID, 1}, {dead[0].ID, 0}} {
		if got, err := r.service.Redeliver(r.Context(), "hook", []string{x.id}); err != nil || got != x.want {
			r.Errorf("redeliver %s: %d, %v; want %d", x.id, got, err, x.want)
		}
	}
	r.deliver()
	if _, taken := r.receiver.got(); len(taken) != n+1 || taken[n] != "bad 0" {
		r.Errorf("got %q, want the bad message once at the end", taken)
	}
	if s := r.state(); s.Dead != 0 || s.Waiting != 0 {
		r.Errorf("the state is %+v, want nothing left", s)
	}
}

// A message that fails repeatedly pauses its endpoint. The events of other campaigns are still delivered.
func TestDeliver_PauseOfOneBadMessageEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver.set(func(w http.ResponseWriter, m message) bool {
		if m.Data.Campaign == "bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return m.Data.Campaign != "bad"
	})
	r.change("bad", 0)
	for range 120 {
		r.deliver()
		r.move(10 * time.Second)
	}
	if s := r.state(); s.Failures < openAfter {
		t.Fatalf("the state is %+v, want a paused endpoint", s)
	}
	r.change("good", 0)
	for range 31 {
		r.deliver()
		r.move(10 * time.Second)
	}
	if _, taken := r.receiver.got(); !slices.Contains(taken, "good 0") {
		t.Errorf("got %q, want the event of the good campaign within %s", taken, lastPause)
	}
}

func TestDeliver_GoneEndsUntilEnabled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver.set(status(http.StatusGone))
	r.change("a", 0)
	for range 100 {
		r.deliver()
		r.move(time.Hour)
	}
	if requests, _ := r.receiver.got(); requests != 1 || !r.state().Disabled {
		t.Errorf("%d requests after a 410, the state is %+v; want one, and disabled", requests, r.state())
	}
	r.receiver.set(nil)
	if err := r.service.Enable(t.Context(), "hook"); err != nil {
		t.Fatal(err)
	}
	r.deliver()
	if _, taken := r.receiver.got(); !slices.Equal(taken, []string{"a 0"}) || r.state().Disabled {
		t.Errorf("got %q, want the event after the endpoint was enabled", taken)
	}
	r.receiver.set(status(http.StatusGone))
	r.change("a", 1)
	r.deliver()
	r.receiver.set(nil)
	list := *r.service.configured.Load()
	list[0].URL += "&moved=yes"
	r.service.SetConfigured(list)
	r.move(time.Hour)
	r.deliver()
	if _, taken := r.receiver.got(); !slices.Equal(taken, []string{"a 0", "a 1"}) {
		t.Errorf("got %q, want the event at the new URL", taken)
	}
}

// If Redis removed events from the stream before they were read, the endpoint gets an event about the loss.
func TestDeliver_LostEventsAreAnnounced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.change("a", 0)
	r.deliver()
	r.change("a", 1)
	r.change("a", 2)
	if err := r.rdb.XTrimMaxLen(t.Context(), "tuma:events", 1).Err(); err != nil {
		t.Fatal(err)
	}
	r.deliver()
	_, taken := r.receiver.got()
	slices.Sort(taken)
	if want := []string{"a 0", "a 2", "events.lost"}; !slices.Equal(taken, want) {
		t.Errorf("got %q, want %q", taken, want)
	}
}

// The number of waiting messages is limited. When the limit is reached, further events stay in the stream.
func TestDeliver_BoundedWaiting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver.set(func(w http.ResponseWriter, m message) bool {
		if m.Data.Campaign == "bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return m.Data.Campaign != "bad"
	})
	const n = maxWaiting + 50
	for i := range n {
		r.change("bad", i)
	}
	r.change("good", 0)
	r.deliver()
	if s := r.state(); s.Waiting != maxWaiting {
		t.Fatalf("%d messages wait, want %d", s.Waiting, maxWaiting)
	}
	r.receiver.set(nil)
	r.move(time.Hour)
	r.deliver()
	_, taken := r.receiver.got()
	var got, want []string
	for _, text := range taken {
		if strings.HasPrefix(text, "bad ") {
			got = append(got, text)
		}
	}
	for i := range n {
		want = append(want, fmt.Sprintf("bad %d", i))
	}
	if !slices.Equal(got, want) || len(taken) != n+1 {
		t.Errorf("the receiver has %d events; those of the bad campaign are these %d: %.300q", len(taken), len(got), got)
	}
}
