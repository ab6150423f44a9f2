// Package redisguard protects a worker's claims and settles against the Redis that keeps them.
// Check and CheckDurability refuse a Redis that may lose data. Guard detects a Redis that restarted
// or changed, and replays the worker's recent settles to it. Memory detects a Redis without room.
package redisguard
