package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The function "follow" handles the text of a page in the same way as the command readme handles a
// file. It returns the output. It starts in an empty folder. In the text, three apostrophes stand
// for the three backticks of a Markdown code fence, ^ for one backtick, and TESTBINARY for the
// path of this test binary.
func follow(t *testing.T, text string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	steps, err := parse("page.md", strings.NewReplacer("'''", "```", "^", "`", "TESTBINARY", self).Replace(text))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "in-tree"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := newReader(&out, tree, t.TempDir(), "set -e\nSOME=thing make test RACE=-race\n", steps)
	if err != nil {
		t.Fatal(err)
	}
	err = r.follow(t.Context(), steps)
	return out.String(), err
}

// everyKindOfStep is a page with every kind of step that the command readme follows.
const everyKindOfStep = `
Words, and a fence that is not run:
'''text
rm -rf /nowhere
'''
<!-- in .ci/run -->
'''sh
make test   # as CI does
'''
<!-- run -->
'''sh
pwd
test "$HOME" = "$PWD"
test -z "${GREETING-}${TUMA_CONFIG-}"
mkdir sub
'''
Save this as ^sub/hello.txt^.
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
A new terminal begins in the home folder and reads .bashrc, but has no other variable.
<!-- run, terminal 2 -->
'''sh
test "$HOME" = "$PWD"
test -z "${GREETING-}"
echo 'export FROM_STARTUP=yes' >> ~/.bashrc
git clone https://example.org/any/tool
test -e tool/in-tree
'''
<!-- stays, terminal 3, until 127.0.0.1:7070 listens -->
'''sh
test "$FROM_STARTUP" = yes
TESTBINARY listen 127.0.0.1:7070
'''
<!-- prints, terminal 3 -->
'''text
accepted a connection at 127.0.0.1:7070
'''
<!-- stays, terminal 4, until "it is ready" is printed -->
'''sh
bash -c 'echo now it is ready; exec TESTBINARY listen 127.0.0.1:7072'
'''
<!-- run, terminal 1 -->
'''sh
test "$GREETING" = hello
'''
`

func TestFollow_RunsEveryKindOfStep(t *testing.T) {
	t.Parallel()
	output, err := follow(t, everyKindOfStep)
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
		"a file in a folder that does not exist": {"As ^sub/a.txt^:\n<!-- file: sub/a.txt -->\n'''text\na\n'''", "no such file or directory"},
		"a file that the text does not name":     {"Save this.\n<!-- file: a.txt -->\n'''text\na\n'''", "does not name the file `a.txt`"},
		"a file that an earlier text names": {"As ^a.txt^:\n<!-- file: a.txt -->\n'''text\na\n'''\n<!-- file: a.txt -->\n'''text\nb\n'''",
			"does not name the file `a.txt`"},
		"a variable of another terminal": {"<!-- run, terminal 1 -->\n'''sh\nexport A=1\n'''\n<!-- run, terminal 2 -->\n'''sh\ntest $A = 1\n'''", ", want 0"},
		"a folder of another terminal":   {"<!-- run, terminal 1 -->\n'''sh\nmkdir a\ncd a\n'''\n<!-- run, terminal 2 -->\n'''sh\ncd ../a\n'''", ", want 0"},
		"a text that does not appear":    {"<!-- stays, until \"ready\" is printed -->\n'''sh\necho not yet\n'''", "must keep running, but exited"},
		"a terminal that is occupied": {"<!-- stays, until 127.0.0.1:7071 listens -->\n'''sh\nTESTBINARY listen 127.0.0.1:7071\n'''\n<!-- run -->\n'''sh\ntrue\n'''",
			"terminal 1 is occupied"},
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
