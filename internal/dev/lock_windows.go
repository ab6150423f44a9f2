package dev

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("the file is locked by another process")

// sharingViolation is the error code of a file that another process has opened without sharing it.
const sharingViolation syscall.Errno = 32

// lockFile opens a file, which it creates if necessary, and locks it. The lock ends when the file is
// closed or the process ends. It returns errLocked if another process holds the lock.
func lockFile(name string) (*os.File, error) {
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	// A file that is opened with the sharing mode 0 cannot be opened again.
	handle, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), name), nil
}
