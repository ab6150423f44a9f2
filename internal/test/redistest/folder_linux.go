package redistest

import (
	"os"
	"syscall"
	"testing"
)

const (
	// memory is the folder of a file system in memory. Only Linux has this folder.
	memory = "/dev/shm"
	// memoryFree is how many bytes must be free in this folder. The largest tests write less than 1
	// GiB.
	memoryFree = 4 << 30
)

// folder returns a new folder for the files of one server. If /dev/shm has enough room, the folder is
// in /dev/shm. On a slow disk, Redis would answer late, and would write an answered command to the disk
// up to two seconds after its answer. Tests kill the server and not the machine, so they need no disk.
func folder(t testing.TB) string {
	t.Helper()
	var free syscall.Statfs_t
	if err := syscall.Statfs(memory, &free); err != nil || free.Bavail*uint64(free.Bsize) < memoryFree {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "tuma-redistest-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("redistest: %v", err)
		}
	})
	return dir
}
