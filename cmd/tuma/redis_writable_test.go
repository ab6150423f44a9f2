package main

import (
	"net"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// TestSend_RedisWithoutWritesIsAOneLineError checks that tuma send prints one line and exits with
// status 1 if Redis accepts no writes.
func TestSend_RedisWithoutWritesIsAOneLineError(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(redistest.Start(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		option redistest.Option
		says   string
	}{
		"a read-only replica":     {redistest.WithConfig("replicaof", host+" "+port), "read-only replica: connect to its master, " + host + ":" + port},
		"a cluster without slots": {redistest.WithConfig("cluster-enabled", "yes"), "serves 0 of 16384 hash slots"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCLI(t, "", "TUMA_REDIS_URL="+redistest.Start(t, x.option).URL())
			out, errOut, exit := c.run("send", "--file", c.file("n.csv", "0712345678\n"), "--via", "kobo-main", "--country", "KE", "--body", "Hello")
			if exit != exitFailed || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, x.says) {
				t.Errorf("send: exit %d, output %q, error %q; want exit 1 and one line with %q", exit, out, errOut, x.says)
			}
		})
	}
}
