//go:build !windows

package dev

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("the file is locked by another process")

// lockFile opens a file, which it creates if necessary, and locks it. The lock ends when the file is
// closed or the process ends. It returns errLocked if another process holds the lock.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
