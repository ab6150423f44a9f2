//go:build tuma_no_builtin_redis

package localredis

import "errors"

// startBuiltIn returns an error, because the images of Tuma are built without the
// built-in Redis.
func startBuiltIn(string) (builtIn, error) {
	return nil, errors.New("this build of tuma has no built-in redis; install redis-server 7.0 or later")
}
