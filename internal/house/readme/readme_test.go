package main

import (
	"bytes"
	"strings"
	"testing"
)

// follow reads a text as the command does, in an empty folder.
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

func TestFollowsATextThatIsRight(t *testing.T) {
	t.Parallel()
	said, err := follow(t, `
Words, and a fence nobody has to run:
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
		t.Fatalf("%v\n%s", err, said)
	}
	if !strings.Contains(said, "hello, port 127.0.0.1:") || strings.Contains(said, "127.0.0.1:8080") {
		t.Errorf("the port was not exchanged throughout:\n%s", said)
	}
}

func TestRefusesATextThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a command that fails":         {"<!-- run -->\n'''sh\nfalse\ntrue\n'''", "status 1, and not 0"},
		"a pipe that fails":            {"<!-- run -->\n'''sh\nfalse | true\n'''", "status 1, and not 0"},
		"a variable that is not set":   {"<!-- run -->\n'''sh\necho $NOBODY_HAS_SET_THIS\n'''", "and not 0"},
		"a command that does not fail": {"<!-- run, status 3 -->\n'''sh\ntrue\n'''", "status 0, and not 3"},
		"what is not printed": {"<!-- run -->\n'''sh\necho one\n'''\n<!-- prints -->\n'''text\ntwo\n'''",
			`do not print "two"`},
		"half of what is printed": {"<!-- run -->\n'''sh\necho one two\n'''\n<!-- prints -->\n'''text\none\n'''",
			`do not print "one"`},
		"a form in what is printed": {"<!-- run -->\n'''sh\necho axb\n'''\n<!-- prints -->\n'''text\na.b\n'''",
			`do not print "a.b"`},
		"what CI does not run":            {"<!-- in .ci/run -->\n'''sh\nmake tests\n'''", `does not run "make tests"`},
		"a server that ends":              {"<!-- stays, until 127.0.0.1:9 listens -->\n'''sh\ntrue\n'''", "was to stay, and ended"},
		"commands without a word on them": {"'''sh\ntrue\n'''", "must say what becomes of this sh"},
		"a word too far off":              {"<!-- run -->\nWords.\n'''sh\ntrue\n'''", "must say what becomes of this sh"},
		"a word nobody knows":             {"<!-- runs -->\n'''sh\ntrue\n'''", `what "runs" asks for`},
		"a fence left open":               {"<!-- run -->\n'''sh\ntrue\n", "never closed"},
		"nothing":                         {"Words.\n", "nothing to run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := follow(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q\n%s", err, c.want, said)
			}
		})
	}
}
