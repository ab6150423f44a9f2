// Package e2e holds the tests of the whole: the real binary, real processes, a
// real redis-server, and the sandbox's own count of what it accepted.
package e2e
