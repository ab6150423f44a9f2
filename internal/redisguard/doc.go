// Package redisguard protects a worker's claims and settles against a loss of data in Redis. Check
// and CheckDurability refuse a Redis that may lose data. Guard detects a Redis that restarted or
// changed, and replays the worker's recent settles to it. Memory detects that Redis is nearly
// full.
package redisguard
