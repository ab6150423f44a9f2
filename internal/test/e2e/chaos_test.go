package e2e

import (
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// perCampaign is the number of recipients of each campaign. A call has at most 100 recipients, so that many calls
// get a fault.
const perCampaign = 100_000

var (
	chaosFor  = flag.Duration("chaos.for", 20*time.Second, "how long to start campaigns while faults are injected")
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of the gateway's faults and of the choice of workers to kill")
)

// TestKill_NothingIsLostOrSentTwice kills a random worker every two seconds. The gateway replies after
// 50 ms. It closes some connections before and after it accepts a call, and replies 502 to some accepted calls. The
// test compares the results with the gateway's own counts.
func TestKill_NothingIsLostOrSentTwice(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{Latency: 50 * time.Millisecond, Seed: *chaosSeed}, "timeout: 1s", "max_recipients: 100")
	for _, name := range []string{"accept_close", "accept_502", "close"} {
		if err := f.gateway.Fail(simulator.Fault{Name: name, P: 0.05}); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(*chaosSeed, 2))
	alive := append(f.workers, f.start(), f.start())
	kills, campaigns, recipients := 0, 0, 0
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for begun := time.Now(); campaigns == 0 || time.Since(begun) < *chaosFor; {
		campaigns++
		id := fmt.Sprintf("chaos-%d", campaigns)
		if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "kobo-main", Body: text}, campaignNumbers(campaigns, perCampaign)); err != nil {
			t.Fatal(err)
		}
		recipients += perCampaign
		kills += f.killUntilEnd(id, tick.C, func() {
			i := random.IntN(len(alive))
			f.kill(alive[i])
			alive[i] = f.spawn()
		})
	}
	stats := f.gateway.Stats()
	t.Logf("seed %d: %d campaigns, %d recipients, %d kills, %d faults, %d calls, %d of them replays; duplicates %d, conflicts %d",
		*chaosSeed, campaigns, recipients, kills, stats.Faults, stats.Calls, stats.Replays, stats.Duplicates, stats.Conflicts)
	if stats.Accepted != int64(recipients) || stats.Numbers != int64(recipients) || stats.Duplicates != 0 || stats.Conflicts != 0 {
		t.Errorf("got gateway stats %+v, want %d accepted, %d numbers, 0 duplicates and 0 conflicts", stats, int64(recipients), int64(recipients))
	}
	if stats.Faults == 0 || kills == 0 {
		t.Errorf("got %d faults and %d kills, want at least one of each", stats.Faults, kills)
	}
	for i := range campaigns {
		f.checkEachAcceptedOnce(fmt.Sprintf("chaos-%d", i+1))
	}
}

// killUntilEnd calls the function kill() at each tick until a campaign of perCampaign recipients ends. It returns
// how often it called the function. All recipients must be accepted.
func (f *deployment) killUntilEnd(id string, tick <-chan time.Time, kill func()) (kills int) {
	f.t.Helper()
	limit := time.Now().Add(3 * time.Minute)
	for {
		s, err := f.client.Status(f.t.Context(), id)
		if err != nil {
			f.t.Fatal(err)
		}
		f.checkI1(s)
		if s.Ended() {
			if s.Accepted != perCampaign {
				f.t.Fatalf("%s: %+v", id, s)
			}
			return kills
		}
		if time.Now().After(limit) {
			f.t.Fatalf("%s has not ended: %+v; gateway %+v", id, s, f.gateway.Stats())
		}
		select {
		case <-tick:
			kill()
			kills++
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// checkEachAcceptedOnce checks that each recipient of a campaign is accepted, and that the gateway has accepted
// exactly one message for it.
func (f *deployment) checkEachAcceptedOnce(id string) {
	f.t.Helper()
	for r, err := range f.client.Results(f.t.Context(), id) {
		if err != nil {
			f.t.Fatal(err)
		}
		if r.Status != "accepted" || f.gateway.Accepted(mustNumber(f.t, r.MSISDN)) != 1 {
			f.t.Fatalf("%s row %d: %+v", id, r.Row, r)
		}
	}
}

// campaignNumbers yields n numbers that no other campaign of the test uses.
func campaignNumbers(campaign, n int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range n {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+2547%08d", 10_000_000+(campaign-1)*n+i)}, nil) {
				return
			}
		}
	}
}

func mustNumber(t *testing.T, msisdn string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(msisdn, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
