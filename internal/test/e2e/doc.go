// Package e2e has end-to-end tests: the real binary, real processes, a real redis-server, and the sandbox's own
// count of accepted messages.
package e2e
