//go:build !windows

package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

const devList = "name,phone\nNgozi,0803 123 4567\nEmeka,+234 (0)805 765 4321\nBisi,2347031112222\n"

func TestDev_FirstCampaignInTwoCommands(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	r.write("customers.csv", devList)
	d := r.startReady("--country", "ng")
	out, exit := r.sh(printedCommands(t, d.out.String()))
	if exit != 0 {
		t.Fatalf("the printed commands: got exit %d, want 0\n%s", exit, out)
	}
	r.checkStats(3)
	eventually(t, "tuma dev to show the count", func() bool {
		return strings.Contains(d.out.String(), "= 3 messages in 1 call; 3 since the start, 0 duplicates")
	})
	r.interrupt(d)
	for line := range strings.Lines(d.out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 79 && !strings.HasPrefix(line, "  cd ") {
			t.Errorf("a line has %d characters, want at most 79: %s", n, line)
		}
	}
	for _, want := range []string{"kobo 2348031234567 ACME: Hello!", "kobo 2348057654321 ACME: Hello!", "written to tuma.yaml", "The campaigns stay in tuma-dev"} {
		if !strings.Contains(d.out.String(), want) {
			t.Errorf("the output does not contain %q:\n%s", want, d.out)
		}
	}
	if got := r.read("tuma-dev/.gitignore"); got != "*\n" {
		t.Errorf("tuma-dev/.gitignore is %q, want %q", got, "*\n")
	}
}

func TestDev_KilledContinuesItsCampaigns(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	r.write("customers.csv", devList)
	d := r.startReady("--country", "NG")
	r.mustSh("tuma hold try-kobo; tuma send --id sale --via try-kobo --body Hello --file customers.csv")
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	settings := r.read("tuma.yaml")
	d = r.startReady()
	if !strings.Contains(d.out.String(), "read from tuma.yaml") || r.read("tuma.yaml") != settings {
		t.Errorf("the second start must read tuma.yaml and not change the file; the output is\n%s", d.out)
	}
	r.mustSh("tuma release try-kobo")
	eventually(t, "the campaign to end", func() bool {
		return strings.Contains(r.mustSh("tuma status sale --json"), `"accepted": 3`)
	})
	r.checkStats(3)
}

func TestDev_InterruptDrains(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	r.write("customers.csv", devList)
	d := r.startReady("--country", "NG")
	r.slowDown("8s") // Even on a busy machine, the command below ends before this delay is over.
	r.mustSh("tuma send --id slow --via try-kobo --body Hello --file customers.csv")
	eventually(t, "a call in flight", func() bool { return r.stats().InFlight == 1 })
	r.interrupt(d)
	if !strings.Contains(d.out.String(), "= 3 messages in 1 call; 3 since the start, 0 duplicates") {
		t.Errorf("the last count must have the call in flight; the output is\n%s", d.out)
	}
	r.startReady()
	if out := r.mustSh("tuma status slow --json"); !strings.Contains(out, `"accepted": 3`) || !strings.Contains(out, `"state": "done"`) {
		t.Errorf("after the restart the campaign is\n%s\nwant done with 3 accepted", out)
	}
	r.checkStats(0)
}

func TestDev_NeverUsesARealGateway(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"a real gateway":          "redis: {url: \"redis://127.0.0.1:%s/0\"}\naccounts: {kobo-main: {provider: kobo, user: u, pass: p}}\n",
		"another Redis":           "redis: {url: \"redis://redis.example:6379/0\"} # %s\naccounts: {kobo-main: {provider: kobo, user: u, pass: p}}\n",
		"a Redis with a password": "redis: {url: \"redis://:secret-word@127.0.0.1:%s/0\"}\naccounts: {a: {provider: kobo, user: u, pass: p}}\n",
		"a gateway elsewhere":     "redis: {url: \"redis://127.0.0.1:%s/0\"}\naccounts: {a: {provider: kobo, base_url: \"https://127.0.0.1:1/kobo\", user: u, pass: p}}\n",
		"no accounts":             "redis: {url: \"redis://127.0.0.1:%s/0\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newDevRig(t)
			text := fmt.Sprintf(config, r.redis)
			r.write("tuma.yaml", text)
			r.write("customers.csv", devList)
			d := r.startReady("--country", "NG")
			if strings.Contains(d.out.String(), "secret-word") || !strings.Contains(d.out.String(), "tuma dev does not use this file") {
				t.Errorf("want a reason without the password why tuma.yaml is not used, got\n%s", d.out)
			}
			r.mustSh(printedCommands(t, d.out.String()))
			r.checkStats(3)
			r.interrupt(d)
			if got := r.read("tuma.yaml"); got != text {
				t.Errorf("tuma dev changed tuma.yaml to\n%s", got)
			}
			d = r.start("--config", "tuma.yaml")
			r.awaitEnd(d)
			if d.State().ExitCode() != exitMisuse || !strings.Contains(d.out.String(), "tuma: dev cannot use this configuration: --config: tuma.yaml") {
				t.Errorf("tuma dev --config: got exit %d and\n%s\nwant exit 2 and the reason", d.State().ExitCode(), d.out)
			}
		})
	}
}

func TestDev_UsesAChangedConfiguration(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	text := fmt.Sprintf("redis: {url: \"redis://localhost:%s/0\"}\naccounts: {shop: {provider: kobo, base_url: \"http://localhost:%s/kobo\", user: u, pass: p, sender: SHOP}}\n"+
		"default_country: KE\nwindows: off\n", r.redis, r.sandbox)
	r.write("tuma.yaml", text)
	r.write("customers.csv", "phone\n0712 345 678\n")
	d := r.startReady()
	r.mustSh(printedCommands(t, d.out.String()))
	eventually(t, "the message", func() bool { return strings.Contains(d.out.String(), "kobo 254712345678 SHOP: Hello!") })
	r.interrupt(d)
	if got := r.read("tuma.yaml"); got != text {
		t.Errorf("tuma dev changed tuma.yaml to\n%s", got)
	}
	for _, c := range []struct{ change, want string }{
		{"--country=NG", "--country: the file tuma.yaml has default_country: KE: change the country in this file"},
		{"--country=Kenya", "--country: unknown country"},
		{"--redis-port=" + r.sandbox, "must differ"},
		{"--sandbox-port=70000", "--sandbox-port: 70000 must be 1 to 65535"},
	} {
		d := r.start(c.change)
		r.awaitEnd(d)
		if d.State().ExitCode() != exitMisuse || !strings.Contains(d.out.String(), c.want) {
			t.Errorf("tuma dev %s: got exit %d and\n%s\nwant exit 2 and %q", c.change, d.State().ExitCode(), d.out, c.want)
		}
	}
	r.write("tuma.yaml", "acounts: {}\n")
	d = r.start()
	r.awaitEnd(d)
	if d.State().ExitCode() != exitMisuse || !strings.Contains(d.out.String(), "tuma.yaml:1: ") {
		t.Errorf("tuma dev with a mistake in tuma.yaml: got exit %d and\n%s\nwant exit 2 and the line", d.State().ExitCode(), d.out)
	}
}

func TestDev_PortOrFolderInUse(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	first := r.startReady()
	other := newDevRig(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, taken, _ := net.SplitHostPort(busy.Addr().String())
	for name, c := range map[string]struct {
		rig  *devRig
		args []string
		want string
	}{
		"started twice":     {r, nil, "another tuma dev uses the folder " + r.file("tuma-dev")},
		"twice, other port": {r, []string{"--sandbox-port", other.sandbox, "--redis-port", other.redis}, "another tuma dev uses the folder"},
		"sandbox's port": {other, []string{"--sandbox-port", r.sandbox},
			"port " + r.sandbox + ", for the sandbox, is in use by another tuma dev or tuma sandbox: stop that program, or choose another port with --sandbox-port"},
		"sandbox's port, other program": {other, []string{"--sandbox-port", taken}, "is in use by another program"},
		"Redis' port": {other, []string{"--redis-port", r.redis, "--data", "other-data"},
			"port " + r.redis + ", for Redis, is in use by another program: stop that program, or choose another port with --redis-port"},
	} {
		d := c.rig.start(c.args...)
		c.rig.awaitEnd(d)
		if d.State().ExitCode() != exitFailed || !strings.Contains(d.out.String(), c.want) {
			t.Errorf("%s: got exit %d and\n%s\nwant exit 1 and %q", name, d.State().ExitCode(), d.out, c.want)
		}
	}
	if first.Ended() || !strings.Contains(r.mustSh("tuma check"), "redis          ok") {
		t.Errorf("the first tuma dev must keep running; its output is\n%s", first.out)
	}
}

func TestDev_BuiltInRedis(t *testing.T) {
	t.Parallel()
	r := newDevRigWithPath(t, t.TempDir())
	r.write("customers.csv", devList)
	d := r.startReady("--country", "NG")
	if out := d.out.String(); !strings.Contains(strings.Join(strings.Fields(out), " "), "the built-in Redis (no redis-server on PATH); campaigns are lost when tuma dev ends") ||
		strings.Contains(out, "cannot read") {
		t.Errorf("want a line about the built-in Redis and no warning, got\n%s", out)
	}
	r.mustSh(printedCommands(t, d.out.String()))
	r.checkStats(3)
	r.interrupt(d)
	if !strings.Contains(d.out.String(), "Stopped. The built-in Redis keeps nothing.") {
		t.Errorf("want a last line about the built-in Redis, got\n%s", d.out)
	}
}

func TestDev_RedisEnds(t *testing.T) {
	t.Parallel()
	r := newDevRig(t)
	d := r.startReady()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + r.redis})
	defer rdb.Close()
	info, err := rdb.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(info["Server"]["process_id"])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.awaitEnd(d)
	if d.State().ExitCode() != exitFailed || !strings.Contains(d.out.String(), "redis-server has ended") {
		t.Errorf("got exit %d and\n%s\nwant exit 1 and the reason", d.State().ExitCode(), d.out)
	}
}
