package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// optOutTimes has two maps by number: the time at which the opt-out of the number returned, and the number of calls
// that the opt-out reported as in flight.
type optOutTimes struct {
	mu    sync.Mutex
	since map[uint64]time.Time
	calls map[uint64]int
}

// For each opted-out number, the method "check" counts the calls that reached the gateway after the opt-out of this
// number. They must not be more than the calls that the opt-out has reported as in flight.
func (o *optOutTimes) check(f *deployment) (inFlight int) {
	f.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	late := map[uint64]int{}
	for _, e := range f.gateway.Log() {
		for _, n := range e.Numbers {
			if at, ok := o.since[n]; ok && e.At.After(at) {
				late[n]++
			}
		}
	}
	for n := range o.since {
		inFlight += o.calls[n]
		if late[n] > o.calls[n] {
			f.t.Errorf("%d calls to %d arrived after its opt-out, which reported %d in flight", late[n], n, o.calls[n])
		}
	}
	return inFlight
}

func (o *optOutTimes) add(f *deployment, number string) {
	f.t.Helper()
	var r producer.OptOutReceipt
	f.eventually(30*time.Second, "an opt-out", func() (ok bool) {
		var err error
		r, err = f.client.OptOut(f.t.Context(), producer.OptOutNumbers("", "", number))
		return err == nil // Redis may still be restarting
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	m := mustNumber(f.t, strings.TrimPrefix(number, "+"))
	o.since[m], o.calls[m] = time.Now(), r.InFlight.Calls+r.Doubt
}

// optedOut returns how many results of a campaign have the reason opted_out. It checks that these
// recipients had opted out, and that the gateway has not accepted them.
func (o *optOutTimes) optedOut(f *deployment, id string) (n int) {
	f.t.Helper()
	for x, err := range f.client.Results(f.t.Context(), id) {
		if err != nil {
			f.t.Fatal(err)
		}
		if x.Reason != "opted_out" {
			continue
		}
		n++
		m := mustNumber(f.t, x.MSISDN)
		if _, ok := o.since[m]; !ok || f.gateway.Accepted(m) > 0 {
			f.t.Errorf("%+v: the gateway accepted it %d times; it opted out: %t", x, f.gateway.Accepted(m), ok)
		}
	}
	return n
}

// 100 recipients opt out at random moments while a campaign is sent. No call to a recipient may
// begin after the opt-out has returned. A call has 5 recipients, and the gateway has idempotency
// keys. One run also kills workers, and another run restarts Redis.
func TestOptOut_NoCallBeginsAfterIt(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*deployment, int){
		"all is well": nil,
		"workers are killed": func(f *deployment, i int) {
			if i%25 == 10 {
				f.kill(f.workers[len(f.workers)-1])
				f.spawn()
			}
		},
		"redis is restarted": func(f *deployment, i int) {
			if i == 50 {
				f.restartAfterOptOuts()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDeployment(t, simulator.Options{Latency: 5 * time.Millisecond, Log: 10_000}, "max_recipients: 5", "timeout: 1s")
			f.start()
			f.start()
			const n = 20_000
			if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: text}, campaignNumbers(1, n)); err != nil {
				t.Fatal(err)
			}
			var numbers []string
			for r := range campaignNumbers(1, n) {
				numbers = append(numbers, r.Number)
			}
			o := &optOutTimes{since: map[uint64]time.Time{}, calls: map[uint64]int{}}
			f.eventually(30*time.Second, "calls", func() bool { return f.gateway.Stats().Calls > 10 })
			for i := range 100 {
				before := f.gateway.Stats().Calls
				o.add(f, numbers[f.numberInFlight(i, numbers)])
				if harm != nil {
					harm(f, i)
				}
				f.eventually(30*time.Second, "more calls", func() bool {
					s, err := f.client.Status(t.Context(), "c")
					return f.gateway.Stats().Calls > before+int64(rand.IntN(30)) || err == nil && s.State == producer.Done
				})
			}
			s := f.wait("c", 2*time.Minute)
			inFlight := o.check(f)
			left := o.optedOut(f, "c")
			if s.Accepted+s.Skipped != n || s.Skipped != left || left == 0 {
				t.Errorf("got status %+v, and %d results with opted_out, want %d accepted or skipped, and the opted-out recipients skipped", s, left, n)
			}
			t.Logf("%d opted out, %d of them before they were sent to; %d calls were in flight", len(o.since), left, inFlight)
			if st := f.gateway.Stats(); st.Duplicates != 0 || st.Conflicts != 0 || st.Accepted != int64(n-left) {
				t.Errorf("got gateway stats %+v; %d of %d recipients were skipped, want no duplicate, no conflict, and all other recipients accepted", st, left, n)
			}
		})
	}
}

// restartAfterOptOuts kills Redis and restarts it. Redis may then have lost its last claims and
// settles. Without redis.durability it may also have lost the last opt-outs, which this test does
// not allow. So Redis first writes the opt-outs to its append-only file.
func (f *deployment) restartAfterOptOuts() {
	f.t.Helper()
	orders(f.t, f.redis.Client(), "CONFIG SET appendfsync always", "CONFIG SET appendfsync everysec")()
	settled := f.gateway.Stats().Calls + 100
	f.eventually(30*time.Second, "more calls, or the end of the campaign", func() bool {
		s, err := f.client.Status(f.t.Context(), "c")
		return f.gateway.Stats().Calls > settled || err == nil && s.State == producer.Done
	})
	f.redis.Kill()
	f.redis.Restart()
}

// numberInFlight returns an index of the list "numbers". If i is 0, it returns the last index, because the campaign
// reaches the last number at the end. If i is another multiple of four, the index is random.
//
// For other values of i, a call to the chosen number is probably in flight: the number is in one of the last four
// calls, or is at most 14 places behind the first number of such a call.
func (f *deployment) numberInFlight(i int, numbers []string) int {
	log := f.gateway.Log()
	if i == 0 {
		return len(numbers) - 1
	}
	if i%4 == 0 {
		return rand.IntN(len(numbers))
	}
	near := log[len(log)-1-rand.IntN(4)].Numbers[0]
	return min(int(near-mustNumber(f.t, numbers[0][1:]))+rand.IntN(15), len(numbers)-1)
}

func TestOptOut_OnTheCommandLine(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	if out := f.must("optout", "add", "0710000001", "+254710000002", "--sender", "acme"); out != "2 numbers added to the suppression list of ACME\n" {
		t.Error(out)
	}
	if out := f.must("optout", "add", "0710000001", "--sender", "ACME"); !strings.HasPrefix(out, "0 numbers added") || !strings.Contains(out, "1 already on the list") {
		t.Error(out)
	}
	list := f.write("list.txt", "0710000003\n0710000004\nno-number\n254710000001\n")
	if _, errOut, exit := f.tuma("optout", "import", list); exit != 1 || !strings.Contains(errOut, "list.txt:3: ") || !strings.Contains(errOut, "1 invalid row not imported") {
		t.Errorf("got exit %d: %s, want exit 1 and the line of the invalid row", exit, errOut)
	}
	if _, errOut, exit := f.tuma("optout", "add", "0710000009", "12"); exit != 2 || !strings.Contains(errOut, "number 2: ") || !strings.Contains(errOut, "nothing was changed") {
		t.Errorf("got exit %d: %s, want exit 2, the number of the invalid argument and no change", exit, errOut)
	}
	if out := f.must("optout", "check", "0710000009"); out != "not on a suppression list\n" {
		t.Error(out)
	}
	var found []producer.OptOut
	if err := json.Unmarshal([]byte(f.must("optout", "check", "0710000001", "--json")), &found); err != nil || len(found) != 2 ||
		found[0].Sender != "" || found[0].Origin != "import" || found[1].Sender != "ACME" || found[1].Origin != "hand" {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestOptOut_ExportCanBeImported(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	f.must("optout", "add", "0710000001", "0710000002", "--sender", "ACME")
	f.must("optout", "add", "0710000001", "0710000003", "0710000004")
	export := f.write("export.csv", "")
	f.must("optout", "export", export)
	was := f.read("export.csv")
	if strings.Count(was, "\n") != 6 || !strings.HasPrefix(was, "msisdn,sender,origin,at\n") {
		t.Error(was)
	}
	if out := f.must("optout", "remove", "--file", export); !strings.HasPrefix(out, "3 numbers removed") {
		t.Error(out)
	}
	if out := f.must("optout", "remove", "0710000001", "0710000002", "--sender", "ACME"); !strings.HasPrefix(out, "2 numbers removed") {
		t.Error(out)
	}
	if out := f.must("optout", "list", "--count"); out != "" {
		t.Error(out)
	}
	f.must("optout", "import", export)
	f.must("optout", "export", export)
	lines := func(s string) map[string]bool {
		out := map[string]bool{}
		for line := range strings.Lines(s) {
			out[line] = true
		}
		return out
	}
	for line := range lines(was) {
		if !lines(f.read("export.csv"))[line] {
			t.Errorf("%q was exported and imported, but the second export does not have it", line)
		}
	}
}

// The opt-out begins while a call to two of its numbers is in flight. It must report this call.
func TestOptOut_WaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{Latency: 2 * time.Second}, "max_recipients: 2", "concurrency: 1")
	f.start()
	if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: text}, campaignNumbers(9, 6)); err != nil {
		t.Fatal(err)
	}
	f.eventually(10*time.Second, "a call", func() bool { return f.status("c").InFlight.Calls > 0 })
	numbers := f.write("people.txt", "")
	var people []string
	for r := range campaignNumbers(9, 6) {
		people = append(people, r.Number)
	}
	f.write("people.txt", strings.Join(people, "\n"))
	cmd := exec.Command(binary, "--config", f.dir+"/tuma.yaml", "optout", "add", "--file", numbers)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "in flight: 1 call to 2 of these numbers") || !strings.Contains(string(out), "6 numbers added") {
		t.Errorf("got error %v: %s, want \"in flight: 1 call to 2 of these numbers\" and \"6 numbers added\"", err, out)
	}
	if s := f.status("c"); s.Accepted != 2 || s.InFlight.Calls != 0 {
		t.Errorf("after waiting for the calls in flight: got %+v, want 2 accepted and no call in flight", s)
	}
	if s := f.wait("c", time.Minute); s.Accepted != 2 || s.Reasons["opted_out"] != 4 {
		t.Errorf("got status %+v, want 2 accepted and 4 opted_out", s)
	}
}
