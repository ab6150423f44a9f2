package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// The function "offer" returns an account with a rate, as a worker publishes it.
func offer(name string, rate float64) Offer {
	return Offer{Card: campaign.Card{Name: name, Provider: "kobo", Rate: rate, Unit: "messages", Concurrency: 8}, Limit: fmt.Sprintf("%g 1", rate)}
}

// startOf numbers a start.
func (r *rig) startOf() int64 {
	r.Helper()
	n, err := r.Start(r.Context())
	r.ok(err)
	return n
}

func (r *rig) publishAll(worker string, start int64, own Settings, offers ...Offer) InForce {
	r.Helper()
	in, err := r.PublishAll(r.Context(), worker, start, offers, own)
	r.ok(err)
	return in
}

func TestStart_NumbersGrowWhateverTheClockShows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.startOf()
	if d := time.Since(time.UnixMilli(first)).Abs(); d > time.Minute {
		t.Errorf("the first number is %d, want the time in ms", first)
	}
	ahead := first + time.Hour.Milliseconds() // the clock of an earlier master was an hour ahead
	r.ok(r.rdb.HSet(t.Context(), settingsKey, "last", ahead).Err())
	if n := r.startOf(); n != ahead+1 {
		t.Errorf("the next number is %d, want %d", n, ahead+1)
	}
	if n := r.startOf(); n != ahead+2 {
		t.Errorf("the next number is %d, want %d", n, ahead+2)
	}
}

func TestPublishAll_TheLastStartDecides(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, young := Settings{Country: "KE", Retention: time.Hour}, Settings{Country: "NG", Windows: map[string]string{"NG": "08:00-20:00"}}
	a := r.startOf()
	b := r.startOf()
	in := r.publishAll("b", b, young, offer("x", 200))
	if in.Settings.Country != "NG" || in.By != "b" || in.Cards["x"].Card.Rate != 200 || in.Cards["x"].By != "b" {
		t.Errorf("after b: %+v, want the settings of b", in)
	}
	began, revision := in.Since, in.Revision
	for range 2 { // worker "a" publishes two more times
		in = r.publishAll("a", a, old, offer("x", 20), offer("only-a", 20))
	}
	if in.Settings.Country != "NG" || in.By != "b" || !in.Since.Equal(began) || in.Cards["x"].Card.Rate != 200 || in.Cards["only-a"].Card.Rate != 20 {
		t.Errorf("after a: %+v, want the settings of b, and the account that only a serves", in)
	}
	if in.Revision == revision {
		t.Error("a new account did not change the revision")
	}
	if limit := r.rdb.HGet(t.Context(), Key("x"), "limit").Val(); limit != "200 1" {
		t.Errorf("the limiter reads %q, want the limit of b", limit)
	}
	// Worker "a" restarts as "a2", with its old configuration, as in a rollback.
	if in = r.publishAll("a2", r.startOf(), old, offer("x", 20)); in.Settings.Country != "KE" || in.By != "a2" || in.Cards["x"].Card.Rate != 20 {
		t.Errorf("after the restart of a: %+v, want the settings of a", in)
	}
	if again := r.publishAll("b", b, young, offer("x", 200)); !cmp.Equal(again.Settings, in.Settings) || again.Revision != in.Revision {
		t.Errorf("after b has published again: %+v, want no change from %+v", again, in)
	}
	if next := r.publishAll("a3", r.startOf(), Settings{Country: "UG"}, offer("x", 20)); next.Revision == in.Revision {
		t.Error("settings that changed without a card did not change the revision")
	}
	// Redis has lost all data, and the workers publish in any order. The settings of the worker
	// that started last must come into force again.
	restarted := r.startOf()
	r.ok(r.rdb.FlushAll(t.Context()).Err())
	r.publishAll("new", restarted, old, offer("x", 20))
	if in = r.publishAll("b", b, young, offer("x", 200)); in.Settings.Country != "KE" || in.Cards["x"].Card.Rate != 20 {
		t.Errorf("after the loss: %+v, want the settings of the last start", in)
	}
	if n := r.startOf(); n <= restarted {
		t.Errorf("the next start has the number %d, want more than %d", n, restarted)
	}
}

func TestAll_NamesWhatDiffers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.startOf()
	own := Settings{Country: "KE", Routes: []campaign.Route{{Match: "254", Via: []string{"x"}}}, Retention: time.Hour, FailoverAfter: time.Minute}
	r.publishAll("a", a, own, offer("x", 20), offer("y", 20))
	b := r.startOf()
	other := Settings{Country: "NG", Windows: map[string]string{"KE": "08:00-18:00"}, Retention: 2 * time.Hour, FailoverAfter: time.Second}
	changed := offer("x", 200)
	changed.Card.Burst, changed.Card.Unit = 7, "requests"
	r.publishAll("b", b, other, changed)
	all, err := r.All(t.Context())
	r.ok(err)
	var got []string
	for _, d := range all[0].Differences {
		got = append(got, fmt.Sprintf("%s %s %s: %s, %s", d.Worker, d.Account, d.Setting, d.Own, d.InForce))
		if d.Since.Before(time.UnixMilli(b)) || time.Since(d.Since) > time.Minute {
			t.Errorf("%s differs since %v, want since the start of b", d.Setting, d.Since)
		}
	}
	want := []string{"a x rate: 20/s, 200/s", "a x burst: the default, 7", "a x unit: messages, requests", "a  default_country: KE, NG",
		"a  windows: off, KE 08:00-18:00", `a  routes: "254" via x, none`, "a  retention: 1h0m0s, 2h0m0s", "a  failover_after: 1m0s, 1s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the differences of x (-want +got):\n%s", diff)
	}
	if len(all[1].Differences) != 5 {
		t.Errorf("the differences of y are %+v, want only those of the cluster", all[1].Differences)
	}
	if all[0].Country != "NG" || all[1].Country != "NG" || all[1].Windows["KE"] != "08:00-18:00" {
		t.Errorf("the accounts have country and sending hours %q, %v; want those in force", all[1].Country, all[1].Windows)
	}
	r.ok(r.Withdraw(t.Context(), "a", "x"))
	r.ok(r.WithdrawSettings(t.Context(), "a"))
	if x := r.account("x"); len(x.Differences) != 0 || x.InForceBy != "b" || x.InForceSince.IsZero() {
		t.Errorf("after a has stopped: %+v, want no differences", x)
	}
}

// All new accounts of a worker become visible at the same moment, both to a caller that reads one
// account and to a caller that lists the names.
func TestPublishAll_AccountsAppearTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const rounds, size = 100, 5
	for round := range rounds {
		var offers []Offer
		var names []string
		for i := range size {
			names = append(names, fmt.Sprintf("a%d-%d", round, i))
			offers = append(offers, offer(names[i], 1))
		}
		var publishing sync.WaitGroup
		publishing.Go(func() {
			if _, err := r.PublishAll(t.Context(), "w"+strconv.Itoa(round), int64(round), offers, Settings{}); err != nil {
				t.Error(err)
			}
		})
		for visible := false; !visible && !t.Failed(); {
			_, err := r.Account(t.Context(), names[0]) // the worker publishes this account first
			visible = err == nil
			if err != nil && !errors.Is(err, ErrNoAccount) {
				t.Error(err)
			}
			if _, err := r.Account(t.Context(), names[size-1]); visible && err != nil {
				t.Errorf("round %d: the first account exists, but the last one does not: %v", round, err)
			}
			all, err := r.Names(t.Context())
			r.ok(err)
			all = slices.DeleteFunc(all, func(n string) bool { return !slices.Contains(names, n) })
			if len(all) != 0 && len(all) != size {
				t.Errorf("round %d: a reader sees %v, want none or all of %d accounts", round, all, size)
			}
		}
		publishing.Wait()
	}
}

func TestSync_LeavesWhatAWorkerServes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sync := func(country string, offers ...Offer) Synced {
		t.Helper()
		s, err := r.Sync(t.Context(), offers, Settings{Country: country})
		r.ok(err)
		return s
	}
	if s := sync("KE", offer("x", 1), offer("y", 1)); !cmp.Equal(s, Synced{Published: []string{"x", "y"}, Settings: true}) {
		t.Errorf("the first sync: %+v, want everything published", s)
	}
	if x := r.account("x"); x.Workers != 0 || x.Rate != 1 || x.Country != "KE" || x.LastSeen.IsZero() {
		t.Errorf("x is %+v, want the card without a worker", x)
	}
	sync("NG", offer("x", 2))
	if x := r.account("x"); x.Rate != 2 || x.Country != "NG" {
		t.Errorf("x is %+v, want the card of the second sync", x)
	}
	r.publishAll("w", r.startOf(), Settings{Country: "TZ"}, offer("x", 3))
	if s := sync("UG", offer("x", 4), offer("y", 4)); !cmp.Equal(s, Synced{Published: []string{"y"}, Kept: []string{"x"}}) {
		t.Errorf("sync beside a worker: %+v, want y published and x kept", s)
	}
	if x, y := r.account("x"), r.account("y"); x.Rate != 3 || y.Rate != 4 || y.Country != "TZ" {
		t.Errorf("x is %+v and y %+v, want the card of the worker, and its country", x, y)
	}
	r.ok(r.Withdraw(t.Context(), "w", "x"))
	r.ok(r.WithdrawSettings(t.Context(), "w"))
	sync("UG", offer("x", 5))
	if x := r.account("x"); x.Rate != 5 || x.Country != "UG" {
		t.Errorf("x is %+v, want the card of the sync after the worker", x)
	}
}

// A producer that finds a card must also find the default country, so the settings are written
// before the card. In this test the card cannot be written.
func TestPublishAll_SettingsComeBeforeCards(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ok(r.rdb.Set(t.Context(), Key("x"), "not a hash", 0).Err())
	if _, err := r.PublishAll(t.Context(), "a", r.startOf(), []Offer{offer("x", 1)}, Settings{Country: "KE"}); err == nil {
		t.Fatal("PublishAll wrote a card over another key")
	}
	if in, ok, err := r.Settings(t.Context()); err != nil || !ok || in.Settings.Country != "KE" {
		t.Errorf("settings %+v, %v, %v; want the country KE", in, ok, err)
	}
}
