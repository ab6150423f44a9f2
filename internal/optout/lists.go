// Package optout stores the suppression lists in Redis: one list for all senders, and one list for
// each sender ID. Package ledger applies the lists to campaigns.
package optout

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Lists reads and writes the suppression lists in one Redis. It is safe for concurrent use.
type Lists struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}

// New returns the Lists in the Redis of a Runner.
func New(r *script.Runner) *Lists { return &Lists{rdb: r.Redis(), scripts: r} }

//go:embed *.lua
var luaFiles embed.FS

func mustSource(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("optout: " + err.Error())
	}
	return string(b)
}

var (
	addScript    = script.Binding(script.NewAlwaysAllowed("add", mustSource("add")))
	removeScript = script.Binding(script.New("remove", mustSource("remove")))
	originScript = script.New("origin", mustSource("origin"))
	copyScript   = script.New("copy", mustSource("copy"))
	// loadScript adds all chunks of an import except the last. Only the last chunk must wait
	// until the entries are durable.
	loadScript = script.New("add", mustSource("add"))
)
