package main

import (
	"bytes"
	"strings"
	"testing"
)

// follow runs a text as the command readme does, in an empty folder, and returns the
// output. In the text, three apostrophes stand for the three backticks of a Markdown code fence.
func follow(t *testing.T, text string) (string, error) {
	t.Helper()
	steps, err := parse(strings.ReplaceAll(text, "'''", "```"))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	r, err := newReader(&out, t.TempDir(), t.TempDir(), "set -e\nSOME=thing make test RACE=-race\n", steps)
	if err != nil {
		t.Fatal(err)
	}
	err = r.follow(t.Context(), steps)
	return out.String(), err
}

func TestFollow_RunsEveryKindOfStep(t *testing.T) {
	t.Parallel()
	output, err := follow(t, `
Words, and a fence that is not run:
'''text
rm -rf /nowhere
'''
<!-- in .ci/run -->
'''sh
make test   # as CI does
'''
<!-- file: sub/hello.txt -->
'''text
hello, port 127.0.0.1:8080
'''
<!-- run -->
'''sh
cd sub
export GREETING=hello
'''
<!-- run, status 3 -->
'''sh
grep "$GREETING, port 127.0.0.1:8080" hello.txt
(exit 3)
'''
<!-- prints -->
'''text
hello,   … 127.0.0.1:8080
'''
<!-- not run: it would cost money -->
'''sh
false
'''
`)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if !strings.Contains(output, "hello, port 127.0.0.1:") || strings.Contains(output, "127.0.0.1:8080") {
		t.Errorf("some ports were not replaced:\n%s", output)
	}
}

func TestFollow_FindsMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a command that fails":         {"<!-- run -->\n'''sh\nfalse\ntrue\n'''", "status 1, want 0"},
		"a pipe that fails":            {"<!-- run -->\n'''sh\nfalse | true\n'''", "status 1, want 0"},
		"a variable that is not set":   {"<!-- run -->\n'''sh\necho $NOT_SET_ANYWHERE\n'''", ", want 0"},
		"a command that does not fail": {"<!-- run, status 3 -->\n'''sh\ntrue\n'''", "status 0, want 3"},
		"a line that is not printed": {"<!-- run -->\n'''sh\necho one\n'''\n<!-- prints -->\n'''text\ntwo\n'''",
			`do not print "two"`},
		"a part of a line": {"<!-- run -->\n'''sh\necho one two\n'''\n<!-- prints -->\n'''text\none\n'''",
			`do not print "one"`},
		"a dot is not a pattern": {"<!-- run -->\n'''sh\necho axb\n'''\n<!-- prints -->\n'''text\na.b\n'''",
			`do not print "a.b"`},
		"a command that CI does not run": {"<!-- in .ci/run -->\n'''sh\nmake tests\n'''", `does not run "make tests"`},
		"a server that ends":             {"<!-- stays, until 127.0.0.1:9 listens -->\n'''sh\ntrue\n'''", "must keep running, but exited"},
		"commands without a comment":     {"'''sh\ntrue\n'''", "a fence of sh needs a comment"},
		"a comment before other text":    {"<!-- run -->\nWords.\n'''sh\ntrue\n'''", "a fence of sh needs a comment"},
		"an unknown comment":             {"<!-- runs -->\n'''sh\ntrue\n'''", `unknown comment "runs"`},
		"a fence without an end":         {"<!-- run -->\n'''sh\ntrue\n", "not closed"},
		"no fence":                       {"Words.\n", "found no fence"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := follow(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want an error that contains %q. The output is\n%s", err, c.want, output)
			}
		})
	}
}
