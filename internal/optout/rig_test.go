package optout

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the package's store on a separate Redis.
type rig struct {
	testing.TB
	rdb *redis.Client
	*Lists
}

func newRig(t testing.TB, opts ...redistest.Option) *rig {
	t.Helper()
	return rigOn(t, redistest.Start(t, opts...).Client())
}

func rigOn(t testing.TB, rdb *redis.Client) *rig {
	return &rig{t, rdb, New(script.NewRunner(rdb, script.Durability{}))}
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}
