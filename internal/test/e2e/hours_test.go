package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// A marketing campaign must wait for the sending hours, which begin a few seconds after the workers
// start. A transactional campaign must not wait.
func TestHours_MarketingWaits(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	config, err := os.ReadFile(filepath.Join(f.dir, "tuma.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	opens := time.Now().Add(12 * time.Second).Truncate(time.Second)
	there := opens.In(time.FixedZone("Nairobi", 3*60*60))
	hours := there.Format("15:04:05") + "-" + there.Add(8*time.Hour).Format("15:04:05")
	f.write("tuma.yaml", strings.Replace(string(config), "windows: off", "windows: {KE: '"+hours+"'}", 1))
	if out := f.must("check"); !strings.Contains(out, "KE "+hours+" (closed until "+opens.UTC().Format(time.RFC3339)+")") {
		t.Errorf("tuma check printed\n%s", out)
	}

	first := f.start()
	list := f.recipients("list.csv", 2000)
	send := []string{"send", "--via", "kobo-main", "--body", text, "--file", list, "--id"}
	_, said, exit := f.tuma(append(send, "late")...)
	if want := "recipients in KE wait for the sending hours (" + hours + " local time): sending starts at " + opens.UTC().Format(time.RFC3339); exit != 0 || !strings.Contains(said, want) {
		t.Errorf("exit %d, %s; want %q", exit, said, want)
	}
	if _, said, _ := f.tuma(append(send, "gone", "--expires-in", "2s")...); !strings.Contains(said, "; but the campaign expires before that time") {
		t.Errorf("tuma send of a campaign that expires before the sending hours printed %s", said)
	}
	if _, said, exit := f.tuma(append(send, "code", "--class", "transactional", "--wait")...); exit != 0 || strings.Contains(said, "sending hours") {
		t.Errorf("exit %d, %s", exit, said)
	}
	f.eventually(8*time.Second, "the reason", func() bool { return len(f.status("late").BlockedBy) > 0 })
	if b := f.status("late").BlockedBy[0]; b.Reason != "window" || b.Account != "kobo-main" || b.Country != "KE" || b.Until == nil || !b.Until.Equal(opens) {
		t.Errorf("blocked by %+v", b)
	}
	if out := f.must("status", "late"); !strings.Contains(out, "waiting: outside the sending hours of KE; they start in ") {
		t.Errorf("tuma status printed\n%s", out)
	}
	f.kill(first)
	f.spawn()
	f.eventually(30*time.Second, "the first call", func() bool {
		went := f.gateway.Stats().Accepted > 2000
		if now := time.Now(); went && now.Before(opens) {
			t.Fatalf("messages arrived %s before the sending hours", opens.Sub(now))
		}
		return went
	})
	if s := f.wait("late", 30*time.Second); s.Accepted != 2000 {
		t.Errorf("got status %+v; want Accepted 2000", s)
	}
	if s := f.wait("gone", 5*time.Second); s.Reasons["expired"] != 2000 {
		t.Errorf("got status %+v, want 2000 expired", s)
	}
}
