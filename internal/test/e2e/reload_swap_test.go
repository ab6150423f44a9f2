package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// login is the user and the password of a call.
type login struct{ user, pass string }

// loginGateway is a sandbox that keeps the login of each call to KoboMobile, in the order in which the calls come.
type loginGateway struct {
	http.Handler
	mu     sync.Mutex
	logins []login
	at     []time.Time
}

// ServeHTTP implements http.Handler.
func (g *loginGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the worker has closed the connection
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("message_uuid") {
		g.mu.Lock()
		g.logins, g.at = append(g.logins, login{form.Get("user"), form.Get("pass")}), append(g.at, time.Now())
		g.mu.Unlock()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.Handler.ServeHTTP(w, r)
}

// The method "since" returns the logins of all calls, beginning with the n-th call.
func (g *loginGateway) since(n int) []login {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]login(nil), g.logins[n:]...)
}

// swapRig is a worker process whose configuration is in files that are replaced while it sends.
type swapRig struct {
	*deployment
	logins  *loginGateway
	replace func(files map[string]string) // replaces all files
	yaml    string                        // with RATE
	good    map[string]string             // the files in use
	login   login                         // the login in use
	rate    int
	listen  string
	swaps   int // the number of directories that the method "swap" has made
	hangUp  func()
}

const swapSlots = 8

func newSwapRig(t *testing.T, links bool) *swapRig {
	t.Helper()
	x := &swapRig{listen: freeAddress(t), login: login{"demo", "pass-0"}, rate: 40}
	gateway := catalog.Simulate(simulator.Options{Latency: 30 * time.Millisecond, Log: 100_000})
	x.logins = &loginGateway{Handler: gateway}
	web := httptest.NewServer(x.logins)
	t.Cleanup(func() {
		gateway.Close()
		web.Close()
	})
	x.deployment = deploymentWith(t, gateway, fmt.Sprintf("  kobo-main: {provider: kobo, base_url: '%s', user_file: user, pass_file: pass, sender: ACME, rate: RATE/s, max_recipients: 5, concurrency: %d}\n", web.URL, swapSlots))
	x.yaml = x.read("tuma.yaml")
	if err := os.Remove(filepath.Join(x.dir, "tuma.yaml")); err != nil {
		t.Fatal(err)
	}
	x.replace = x.rename
	if links {
		x.replace = x.swap
		for _, name := range []string{"tuma.yaml", "user", "pass"} {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(x.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	x.put(x.login, x.rate)
	cmd := x.spawn("--listen", x.listen)
	x.hangUp = func() {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	x.eventually(20*time.Second, "a worker to serve", func() bool { return x.serves(cmd) })
	return x
}

// The method "put" puts a login and a rate into the files.
func (x *swapRig) put(l login, rate int) {
	x.t.Helper()
	x.good = map[string]string{"tuma.yaml": strings.Replace(x.yaml, "RATE", fmt.Sprint(rate), 1), "user": l.user, "pass": l.pass}
	x.replace(x.good)
}

// The method "swap" replaces the files in the same way as Kubernetes. It writes the files to a new directory, and then
// changes the link ..data so that it leads to this directory.
func (x *swapRig) swap(files map[string]string) {
	x.t.Helper()
	x.swaps++
	dir := fmt.Sprint("..data-", x.swaps)
	if err := os.Mkdir(filepath.Join(x.dir, dir), 0o700); err != nil {
		x.t.Fatal(err)
	}
	for name, text := range files {
		x.write(filepath.Join(dir, name), text)
	}
	next := filepath.Join(x.dir, "..data_tmp")
	if err := os.Symlink(dir, next); err != nil {
		x.t.Fatal(err)
	}
	old, _ := os.Readlink(filepath.Join(x.dir, "..data")) // the link does not exist at first
	if err := os.Rename(next, filepath.Join(x.dir, "..data")); err != nil {
		x.t.Fatal(err)
	}
	if old != "" {
		if err := os.RemoveAll(filepath.Join(x.dir, old)); err != nil {
			x.t.Fatal(err)
		}
	}
}

// The method "rename" replaces the files one by one. To replace a file, it writes a file with another name, and renames
// that file. It removes files that are not in the parameter "files".
func (x *swapRig) rename(files map[string]string) {
	x.t.Helper()
	for _, name := range []string{"user", "pass", "tuma.yaml"} {
		text, ok := files[name]
		if !ok {
			if err := os.Remove(filepath.Join(x.dir, name)); err != nil {
				x.t.Fatal(err)
			}
			continue
		}
		if err := os.Rename(x.write(name+".next", text), filepath.Join(x.dir, name)); err != nil {
			x.t.Fatal(err)
		}
	}
}

// The method "logged" returns how often a text occurs in the log of the worker.
func (x *swapRig) logged(text string) int { return strings.Count(x.read("worker.log"), text) }

// The method "next" waits until swapSlots+5 further calls have come. It returns the logins of these
// calls. It leaves out the first swapSlots calls, because a call of each slot may have been in flight already.
func (x *swapRig) next() []login {
	x.t.Helper()
	n := len(x.logins.since(0))
	x.eventually(30*time.Second, "further calls", func() bool { return len(x.logins.since(n)) >= swapSlots+5 })
	return x.logins.since(n)[swapSlots:]
}

// wantInUse checks that calls that begin now have the login of the field "login", and that the account has the rate
// of the field "rate".
func (x *swapRig) wantInUse(when string) {
	x.t.Helper()
	for _, l := range x.next() {
		if l != x.login {
			x.t.Errorf("%s: a call has the login %v, want %v", when, l, x.login)
			break
		}
	}
	if list, err := x.client.Accounts(x.t.Context()); err != nil || len(list) != 1 || list[0].Rate != float64(x.rate) {
		x.t.Errorf("%s: the accounts are %+v (%v), want the rate %d", when, list, err, x.rate)
	}
}

// The method "change" replaces the password and the rate. If the parameter "user" is true, it replaces the user too. A
// new user takes effect only after a restart. So the worker must still send with the old user and the old password.
func (x *swapRig) change(i int, ask, user bool) {
	x.t.Helper()
	before := x.logged("the configuration was reloaded")
	x.rate = 41 + i
	if user {
		x.put(login{"other", fmt.Sprint("other-pass-", i)}, x.rate)
	} else {
		x.login.pass = fmt.Sprint("pass-", i+1)
		x.put(x.login, x.rate)
	}
	if ask {
		x.hangUp()
	}
	x.eventually(20*time.Second, "the reload", func() bool { return x.logged("the configuration was reloaded") > before })
	x.wantInUse(fmt.Sprintf("change %d", i))
}

// The method "damage" replaces the files by files that cannot be used. The login and the rate in use must not change.
func (x *swapRig) damage(i int, ask bool) {
	x.t.Helper()
	files := map[string]string{"tuma.yaml": strings.Replace(x.yaml, "RATE", "7", 1), "user": x.login.user, "pass": "broken-pass"}
	switch i % 5 {
	case 0:
		files["tuma.yaml"] = files["tuma.yaml"][:strings.Index(files["tuma.yaml"], "provider")+4] // half of a file
	case 1:
		files["tuma.yaml"] += "acounts: {}\n"
	case 2:
		delete(files, "pass")
	case 3:
		files["pass"] = ""
	case 4:
		files["tuma.yaml"] = strings.Replace(x.yaml, "RATE", "fast", 1)
	}
	before := x.logged("cannot be used")
	x.replace(files)
	if ask {
		x.hangUp()
	}
	x.eventually(20*time.Second, fmt.Sprintf("the refusal of file %d", i), func() bool { return x.logged("cannot be used") > before })
	if status, text := x.readyz(x.listen); status != http.StatusOK || !strings.Contains(text, "cannot be used") {
		x.t.Errorf("damage %d: /readyz answers %d and %q, want 200 and the reason", i, status, text)
	}
	x.wantInUse(fmt.Sprintf("damage %d", i))
	x.replace(x.good)
	x.eventually(20*time.Second, "the good files again", func() bool { _, text := x.readyz(x.listen); return !strings.Contains(text, "cannot be used") })
}

// While a campaign is sent, the test changes the password and the rate in the files ten times, and the whole login
// twice. Between these changes, it writes broken files, which must change nothing. According to the gateway's own
// counts, each message must be sent once, and each call must have a user with the right password.
func TestReload_SwappedFilesUnderLoad(t *testing.T) {
	t.Parallel()
	for name, links := range map[string]bool{"links of Kubernetes": true, "renamed files": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newSwapRig(t, links)
			const n = 8000
			if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: text}, campaignNumbers(1, n)); err != nil {
				t.Fatal(err)
			}
			x.wantInUse("at first")
			valid := map[login]bool{x.login: true}
			for i := range 12 {
				x.change(i, i%2 == 0, i == 4 || i == 9)
				valid[x.login] = true
				x.damage(i, i%2 == 1)
			}
			if ended := x.status("c").Ended(); ended {
				t.Error("the campaign has ended too early for this test")
			}
			x.wantRate(52)
			before := x.logged("the configuration was reloaded")
			x.good["tuma.yaml"] = strings.Replace(x.yaml, "RATE/s", "\"0\"", 1)
			x.replace(x.good)
			x.eventually(20*time.Second, "the last reload", func() bool { return x.logged("the configuration was reloaded") > before })
			if s := x.wait("c", 2*time.Minute); s.Accepted != n {
				t.Errorf("%d accepted, want %d: %+v", s.Accepted, n, s)
			}
			x.compare("c", n)
			calls := map[login]int{}
			for _, l := range x.logins.since(0) {
				if calls[l]++; !valid[l] {
					t.Errorf("a call has the login %v, which was never in use", l)
				}
			}
			if len(calls) != 11 {
				t.Errorf("the calls have %d logins, want the first one and those of ten changes: %v", len(calls), calls)
			}
			t.Logf("calls by login: %v", calls)
		})
	}
}

// wantRate checks the gateway's own log. Within any ten seconds, the gateway may get the messages of ten seconds at the
// highest rate, and one burst more. It may also get one late call of each slot, because the machine may be busy.
func (x *swapRig) wantRate(highest int) {
	x.t.Helper()
	const window = 10
	most := window*highest + highest/10 + 5 + swapSlots*5
	log := x.gateway.Log()
	first, messages := 0, 0
	for i, e := range log {
		messages += e.Messages
		for e.At.Sub(log[first].At) >= window*time.Second {
			messages -= log[first].Messages
			first++
		}
		if messages > most {
			x.t.Fatalf("%d messages within %d s, at call %d; at most %d are allowed at %d/s", messages, window, i, most, highest)
		}
	}
}
