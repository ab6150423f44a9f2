// Package e2e has end-to-end tests. They run the tuma binary and a redis-server as processes, and compare the
// results with the sandbox's own count of accepted messages.
package e2e
