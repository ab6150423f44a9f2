package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// While a campaign is sent, the test changes the rate in the file. Between these changes, it writes broken files. Every
// change must take effect, a broken file must change nothing, and every message must be sent once.
func TestReload_RateChangesUnderLoad(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{}, "max_recipients: 5", "unit: messages")
	good := strings.Replace(f.read("tuma.yaml"), `rate: "0"`, "rate: RATE", 1)
	set := func(rate string) { f.write("tuma.yaml", strings.Replace(good, "RATE", rate, 1)) }
	set("41/s")
	cmd := f.start()
	const n = 500
	if _, err := f.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: text}, campaignNumbers(1, n)); err != nil {
		t.Fatal(err)
	}
	rate := func() float64 {
		list, err := f.client.Accounts(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%d accounts, %v", len(list), err)
		}
		return list[0].Rate
	}
	for i := range 4 {
		want := 42 + i
		set(strconv.Itoa(want) + "/s")
		if i%2 == 0 {
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		f.eventually(10*time.Second, "the new rate", func() bool { return rate() == float64(want) })
		f.write("tuma.yaml", "accounts: [")
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if got := rate(); got != float64(want) {
			t.Errorf("a broken file: the rate is %g, want %d", got, want)
		}
	}
	set("0")
	if s := f.wait("c", 60*time.Second); s.Accepted != n {
		t.Errorf("%d accepted, want %d: %+v", s.Accepted, n, s)
	}
	f.compare("c", n)
}
