package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	sampleComments = 40
	sampleMessages = 20
	// fewestWords is the minimum number of words in a text of the sample. Shorter texts are directives, names and keys.
	fewestWords = 5
)

// readerTask describes the task of the reader of a sample. It is part of the output, so that two samples are read
// in the same way.
const readerTask = `You know Go, Redis and SMS gateways, and docs/glossary.md. You have not seen this program. Read each text once,
at normal speed. Below a comment stands the line of code that it belongs to, and below a message that
is joined from parts its line. Judge each text:

  clear    you know what it says, also if you cannot know why from this text alone
  unclear  you had to read a sentence a second time, or two meanings are possible

A text is not unclear because it is long, because it has an unknown name of the code, or because you would write it
otherwise. For each unclear text, quote the words that stopped you.
`

// text is one text of a sample.
type text struct {
	file string
	line int
	body string
	code string // the line of code of a comment, or of a message that is joined from parts
}

// printSample prints comments of Go and Lua files and messages of the program, drawn at random.
func printSample(w io.Writer, tree string, seed uint64) error {
	comments, messages, err := texts(os.DirFS(tree))
	if err != nil {
		return err
	}
	if len(comments) < sampleComments || len(messages) < sampleMessages {
		return fmt.Errorf("found only %d comments and %d messages", len(comments), len(messages))
	}
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(comments), func(i, j int) { comments[i], comments[j] = comments[j], comments[i] })
	r.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	fmt.Fprintf(w, "%s\nseed %d, drawn from %d comments and %d messages\n", readerTask, seed, len(comments), len(messages))
	for i, t := range slices.Concat(comments[:sampleComments], messages[:sampleMessages]) {
		kind := "comment"
		if i >= sampleComments {
			kind = "message"
		}
		fmt.Fprintf(w, "\n%d. %s, %s:%d\n%s\n", i+1, kind, t.file, t.line, indent(t.body))
		if t.code != "" {
			fmt.Fprintf(w, "    > %s\n", t.code)
		}
	}
	return nil
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// codeOf returns the line of code that a comment belongs to. The comment is from the line "first" to the line
// "last". If the comment follows code on its line, codeOf returns this code. Otherwise it returns the line below.
func codeOf(lines []string, first, last int) string {
	own, marks := strings.TrimSpace(lines[first-1]), []string{"//", "/*", "--"}
	if !slices.ContainsFunc(marks, func(mark string) bool { return strings.HasPrefix(own, mark) }) {
		for _, mark := range marks {
			if code, _, ok := strings.Cut(own, mark); ok {
				return strings.TrimSpace(code)
			}
		}
	}
	if last < len(lines) {
		return strings.TrimSpace(lines[last])
	}
	return ""
}

// joined returns a line of code that joins texts, so that the reader sees more than one part of the
// message. For any other line it returns "".
func joined(line string) string {
	if strings.Contains(line, `" + `) || strings.Contains(line, ` + "`) {
		return strings.TrimSpace(line)
	}
	return ""
}

// word matches one word of a sentence. It does not match the verbs of package fmt, such as %s.
var word = regexp.MustCompile(`(^|[\s("])[A-Za-z][a-z]+\b`)

// directive matches two kinds of comments that a reader cannot judge: instructions to a tool, and the expected
// output of an example.
var directive = regexp.MustCompile(`^(nolint|go:|Output:|Unordered output:)`)

// texts returns the comments of all Go and Lua files, tests included, and the messages of the files that are not
// tests, in the order of the files.
func texts(tree fs.FS) (comments, messages []text, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{"bin", "tmp", ".git", "testdata"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		blocks := map[string]func([]byte) ([]*block, int){".go": goBlocks, ".lua": luaBlocks}[path.Ext(name)]
		if blocks == nil {
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		lines := strings.Split(string(src), "\n")
		found, _ := blocks(src)
		for _, b := range found {
			body := strings.TrimSpace(b.text.String())
			if directive.MatchString(body) || len(word.FindAllString(body, fewestWords)) < fewestWords {
				continue
			}
			t := text{file: name, line: b.lines[0], body: body}
			switch last := b.lines[len(b.lines)-1]; {
			case !b.quote:
				t.code = codeOf(lines, b.lines[0], last)
				comments = append(comments, t)
			case !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "internal/test/") && !strings.HasPrefix(name, "internal/simulator/"):
				t.code = joined(lines[b.lines[0]-1])
				messages = append(messages, t)
			}
		}
		return nil
	})
	return comments, messages, err
}
