package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

func TestSource_FileThatChangesIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte("0712345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{err: io.Discard}
	src, err := a.openSource(path, recipients.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, err := range src.all() {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range src.all() {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "changed while it was read") {
		t.Errorf("got error %v, want an error that the file changed while it was read", last)
	}
}

func TestSource_StandardInputUsesATemporaryFile(t *testing.T) {
	t.Parallel()
	a := &app{in: strings.NewReader("phone\n1\n2\n"), err: io.Discard}
	src, err := a.openSource("-", recipients.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var got []producer.Recipient
		for r, err := range src.all() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		if diff := cmp.Diff([]producer.Recipient{{Number: "1", Line: 2}, {Number: "2", Line: 3}}, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(src.file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestSource_InvalidListExitsWith2(t *testing.T) {
	t.Parallel()
	a := &app{in: strings.NewReader("phone\n\"0712345678\n"), err: io.Discard}
	src, err := a.openSource("-", recipients.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, err = range src.all() {
	}
	if exitStatus(err) != exitMisuse || !strings.Contains(err.Error(), "standard input:2: ") {
		t.Errorf("got error %v and exit status %d, want an error in line 2 and exit status 2", err, exitStatus(err))
	}
}
