package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The function "module" writes a Go module with one test file and changes the working directory to it.
func module(t *testing.T, test string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.26.0\n", "m_test.go": "package m\n\n" + test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestReport_OfEachResult(t *testing.T) {
	const wants = `t.Skipf("needs redis-server: %s\napt-get install -y redis-server", "not found")`
	for name, c := range map[string]struct {
		test    string
		require bool
		code    int
		prints  []string
		omits   []string
	}{
		"passing": {
			test: `import "testing"
func TestA(t *testing.T) { t.Log("chatter") }`,
			code: 0, prints: []string{"ok  \texample.com/m\t", "\n1 passed, 0 failed, 0 skipped\n"}, omits: []string{"chatter", "redis"},
		},
		"failing": {
			test: `import "testing"
func TestA(t *testing.T) { t.Error("wrong") }
func TestB(t *testing.T) { t.Log("chatter") }`,
			code: 1, prints: []string{"--- FAIL: TestA", "wrong", "FAIL\texample.com/m\t", "\n1 passed, 1 failed, 0 skipped\n"},
			omits: []string{"chatter", "=== "},
		},
		"a subtest failing": {
			test: `import "testing"
func TestA(t *testing.T) { t.Run("inner", func(t *testing.T) { t.Fatal("wrong") }) }`,
			code: 1, prints: []string{"--- FAIL: TestA/inner", "wrong", "\n0 passed, 2 failed, 0 skipped\n"},
		},
		"panicking": {
			test: `import "testing"
func TestA(t *testing.T) { panic("out of order") }`,
			code: 1, prints: []string{"out of order", "FAIL\texample.com/m\t"},
		},
		"ending at once": {
			test: `import ("os"; "testing")
func TestA(t *testing.T) { t.Log("first"); os.Exit(3) }`,
			code: 1, prints: []string{"FAIL\texample.com/m\t"},
		},
		"not compiling": {
			test: `var x int = "text"`,
			code: 1, prints: []string{"cannot use", "FAIL\texample.com/m [build failed]"},
		},
		"without a redis-server": {
			test: `import "testing"
func TestA(t *testing.T) {}
func TestB(t *testing.T) { ` + wants + ` }
func TestC(t *testing.T) { t.Run("inner", func(t *testing.T) { ` + wants + ` }) }`,
			code: 0, prints: []string{"\n2 passed, 0 failed, 2 skipped\n", "2 tests did not run", "\n  apt-get install -y redis-server\n"},
			omits: []string{"--- SKIP"},
		},
		"without the redis-server that is required": {
			test: `import "testing"
func TestA(t *testing.T) {}
func TestB(t *testing.T) { ` + wants + ` }`,
			require: true, code: 1, prints: []string{"1 tests did not run", "apt-get install"},
		},
		"without a test": {
			test: `import "testing"
func BenchmarkA(b *testing.B) {}`,
			code: 1, prints: []string{"\n0 passed, 0 failed, 0 skipped\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			module(t, c.test)
			var out, errOut bytes.Buffer
			code, err := run(t.Context(), []string{"-shuffle=on", "."}, c.require, &out, &errOut)
			if code != c.code {
				t.Errorf("status %d (error %v), want %d", code, err, c.code)
			}
			for _, want := range c.prints {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output does not contain %q", want)
				}
			}
			for _, unwanted := range c.omits {
				if strings.Contains(out.String(), unwanted) {
					t.Errorf("the output contains %q", unwanted)
				}
			}
			if t.Failed() {
				t.Log(out.String(), errOut.String())
			}
		})
	}
}
