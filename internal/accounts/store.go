// Package accounts stores in Redis what workers and producers share about the accounts. This is
// the card that workers publish, the hold, the circuit breaker, the balance, and a rate that was
// set by hand.
package accounts

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Store reads and writes the accounts in one Redis. It is safe for concurrent use.
type Store struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}

// New returns a Store in the Redis of a Runner.
func New(r *script.Runner) *Store { return &Store{rdb: r.Redis(), scripts: r} }

const (
	indexKey    = script.KeyPrefix + "accounts"
	settingsKey = script.KeyPrefix + "settings" // settings in force, and the settings of each worker
)

// Key is the Redis key of an account's hash. The limiter reads two fields of the hash: "rate",
// which is set by hand, and "limit", which belongs to the card in force. The key is in the same
// cluster slot as RateKey.
func Key(name string) string { return script.KeyPrefix + "account:{" + name + "}" }

// RateKey is the key of an account's rate limiter, in the same cluster slot as Key.
func RateKey(account string) string { return script.KeyPrefix + "rate:{" + account + "}" }

//go:embed *.lua
var luaFiles embed.FS

func mustSource(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("accounts: " + err.Error())
	}
	return string(b)
}

var (
	checkScript    = script.New("check", mustSource("check"))
	breakerScript  = script.New("breaker", mustSource("breaker"))
	refusalScript  = script.New("refusal", mustSource("refusal"))
	startScript    = script.New("start", mustSource("start"))
	cardScript     = script.New("card", mustSource("card"))
	settingsScript = script.New("settings", mustSource("settings"))
	holdScript     = script.Binding(script.New("hold", mustSource("hold")))
	releaseScript  = script.Binding(script.New("release", mustSource("release")))
)
