//go:build !tuma_no_builtin_redis

package localredis

import "github.com/alicebob/miniredis/v2"

// startBuiltIn starts the built-in Redis on an address.
func startBuiltIn(address string) (builtIn, error) {
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true) // without ClockTTL, keys would never expire, and so asynq's leases would never end
	if err := mini.StartAddr(address); err != nil {
		return nil, err
	}
	return mini, nil
}
