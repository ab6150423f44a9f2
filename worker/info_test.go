package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// A worker with an invalid providers.Info, or with an unfit Redis client, must not start, because
// its claims or calls would fail later.
func TestNew_RefusesInvalidInfosAllAtOnce(t *testing.T) {
	t.Parallel()
	empty, negative := newStubGateway(providers.Info{}), newStubGateway(providers.Info{})
	empty.info = providers.Info{}
	negative.info.Fingerprint, negative.info.KeyTTL, negative.info.MaxChars = "", -time.Second, -1
	ring := redis.NewRing(&redis.RingOptions{})
	defer func() { _ = ring.Close() }()
	_, err := worker.New(worker.Config{Redis: ring, Prefix: "a b", Accounts: []worker.Account{{Name: "a", Provider: empty, Unit: "sheep"}, {Name: "b", Provider: negative}}})
	if err == nil {
		t.Fatal("New accepted the accounts, want an error")
	}
	for _, want := range []string{"redis.Ring is not supported", `"a b" must consist of`, "account a: provider info: name", "fingerprint is empty", "max recipients 0", `unit "sheep"`,
		"account b: provider info: fingerprint is empty", "key TTL -1s", "max chars -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q: %v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "fingerprint is empty"); n != 2 {
		t.Errorf("the error names an empty fingerprint %d times, want once for each account: %v", n, err)
	}
}
