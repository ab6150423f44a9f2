package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// An edit of a mutant has a snippet, which is the code that the edit replaces. The method "find"
// looks for the tokens of the snippet, so white space and comments do not matter. It makes up to
// three searches, and stops at the first search that finds a place:
//
//  1. the same tokens, in the file that the table names
//  2. the same tokens, in all files of that file's folder, because code moves between files
//  3. the same tokens except for renamed identifiers, in all files of that folder
//
// The last search must find exactly one place.

// folder holds the files of one directory that have the same extension, without Go test files.
type folder struct {
	language
	texts  map[string]string
	tokens map[string][]token
}

// source is a source tree. It reads and scans each folder once. It is not safe for concurrent use.
type source struct {
	tree    fs.FS
	folders map[string]*folder
}

func newSource(tree fs.FS) *source { return &source{tree, map[string]*folder{}} }

// folderOf returns the folder of a file. The file itself need not exist, because it may have been
// renamed.
func (s *source) folderOf(file string) (*folder, error) {
	key := path.Dir(file) + path.Ext(file)
	if f, ok := s.folders[key]; ok {
		return f, nil
	}
	f, err := readFolder(s.tree, file)
	if err != nil {
		return nil, err
	}
	s.folders[key] = f
	return f, nil
}

// readFolder reads the files that have the same directory and the same extension as the given file.
func readFolder(tree fs.FS, file string) (*folder, error) {
	names, err := fs.Glob(tree, path.Join(path.Dir(file), "*"+path.Ext(file)))
	if err != nil {
		return nil, fmt.Errorf("list the files beside %s: %w", file, err)
	}
	f := &folder{language: lua, texts: map[string]string{}, tokens: map[string][]token{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		f.texts[name] = string(text)
	}
	if path.Ext(file) == ".go" {
		f.language = golang(f.texts)
	}
	for name, text := range f.texts {
		if f.tokens[name], err = f.scan(name, text); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// place is a part of a file that has the tokens of a snippet.
type place struct {
	file        string
	first, last int // indexes of the first and the last token of the place in the file
	from, to    int // byte offsets in the file: the first byte of the place, and the byte after its end
	line        int
	renames     renames
}

// The method "find" searches the folder for a place that has the same tokens as the snippet e.old. It
// returns an error unless it finds exactly one place.
func (f *folder) find(e edit) (place, error) {
	snippet, err := f.scan(e.file, e.old)
	if err != nil {
		return place{}, fmt.Errorf("a snippet must not begin or end within a string: %w", err)
	}
	if len(snippet) == 0 {
		return place{}, fmt.Errorf("snippet %q for %s must contain code", e.old, e.file)
	}
	all := slices.Sorted(maps.Keys(f.texts))
	places := f.search([]string{e.file}, snippet, exact)
	if len(places) == 0 {
		places = f.search(all, snippet, exact)
	}
	if len(places) == 0 {
		places = f.search(all, snippet, renamed)
	}
	switch len(places) {
	case 0:
		return place{}, fmt.Errorf("snippet %q fits nowhere in %s/*%s: the code has changed, so write the snippet and its replacement anew",
			e.old, path.Dir(e.file), path.Ext(e.file))
	case 1:
		return places[0], nil
	}
	var where []string
	for _, p := range places[:min(len(places), 5)] {
		where = append(where, fmt.Sprintf("%s:%d", p.file, p.line))
	}
	if len(places) > len(where) {
		where = append(where, "...")
	}
	return place{}, fmt.Errorf("snippet %q for %s must fit exactly one place, but fits %d: write a longer snippet; the places: %s", e.old, e.file, len(places), strings.Join(where, ", "))
}

func (f *folder) search(files []string, snippet []token, fits func(snippet, code []token) (renames, bool)) (places []place) {
	for _, file := range files {
		code := f.tokens[file]
		for i := range len(code) - len(snippet) + 1 {
			last := i + len(snippet) - 1
			if r, ok := fits(snippet, code[i:last+1]); ok {
				from, to := code[i].from, code[last].to
				places = append(places, place{file, i, last, from, to, 1 + strings.Count(f.texts[file][:from], "\n"), r})
			}
		}
	}
	return places
}

// renames maps the identifiers of a snippet to the identifiers of the code. A member (a field or
// method) and a variable can have the same name, and can be renamed separately.
type renames map[identifier]string

type identifier struct {
	name   string
	member bool
}

// exact reports whether the tokens of the code are equal to those of the snippet.
func exact(snippet, code []token) (renames, bool) {
	if !slices.EqualFunc(snippet, code, func(a, b token) bool { return a.text == b.text }) {
		return nil, false
	}
	return renamed(snippet, code)
}

// renamed reports whether the tokens of the code are equal to those of the snippet after a rename
// of identifiers. A rename must not give two identifiers of the snippet the same name.
func renamed(snippet, code []token) (renames, bool) {
	for i, s := range snippet {
		if c := code[i]; s.text != c.text && !(s.name && c.name) {
			return nil, false
		}
	}
	to, back := renames{}, renames{}
	for i, s := range snippet {
		c := code[i]
		if !s.name || !c.name {
			continue
		}
		now, known := to[identifier{s.text, s.member}]
		was, taken := back[identifier{c.text, s.member}]
		if known && now != c.text || taken && was != s.text {
			return nil, false
		}
		to[identifier{s.text, s.member}], back[identifier{c.text, s.member}] = c.text, s.text
	}
	return to, true
}

// The method "of" returns the name of the identifier x in the code. It returns false if the snippet does not
// contain x.
func (r renames) of(x identifier) (string, bool) {
	if now, ok := r[x]; ok {
		return now, true
	}
	now, ok := r[identifier{x.name, !x.member}]
	return now, ok
}

// common merges several renames into one. It leaves out an identifier that has different names in two of
// these renames.
func common(all []renames) renames {
	out, differ := renames{}, map[identifier]bool{}
	for _, r := range all {
		for x, now := range r {
			if other, ok := out[x]; ok && other != now {
				differ[x] = true
			}
			out[x] = now
		}
	}
	maps.DeleteFunc(out, func(x identifier, _ string) bool { return differ[x] })
	return out
}

// The method "rename" returns the replacement of an edit, with each identifier changed to its present name
// in the code. It takes this name from the parameter "own" or, if the name is not there, from "others".
func (f *folder) rename(file, text string, own, others renames) (string, error) {
	tokens, err := f.scan(file, text)
	if err != nil {
		return "", fmt.Errorf("a replacement must not begin or end within a string: %w", err)
	}
	for _, t := range slices.Backward(tokens) {
		now, ok := own.of(identifier{t.text, t.member})
		if !ok {
			now, ok = others.of(identifier{t.text, t.member})
		}
		if ok && t.name {
			text = text[:t.from] + now + text[t.to:]
		}
	}
	return text, nil
}

// change is an edit whose place was found. The field "text" is the mutant's code at this place.
type change struct {
	place
	text string
}

// changes finds the places of the mutant's edits in the unchanged tree, and computes the new text
// of each place.
//
// The code may have renamed an identifier since the edit was written. The method "changes" then also
// renames the identifier in the replacement. It takes the new name from the snippet of the same edit
// or, if that snippet does not have the identifier, from the mutant's other snippets for the folder.
func (m mutant) changes(s *source) (changes []change, folders []*folder, err error) {
	found := map[*folder][]renames{}
	for _, e := range m.edits {
		f, err := s.folderOf(e.file)
		if err != nil {
			return nil, nil, err
		}
		p, err := f.find(e)
		if err != nil {
			return nil, nil, err
		}
		changes, folders = append(changes, change{place: p}), append(folders, f)
		found[f] = append(found[f], p.renames)
	}
	for i, e := range m.edits {
		c, f := &changes[i], folders[i]
		if c.text, err = f.rename(e.file, strings.TrimSpace(e.new), c.renames, common(found[f])); err != nil {
			return nil, nil, err
		}
		if f.texts[c.file][c.from:c.to] == c.text {
			return nil, nil, fmt.Errorf("edit of %s must change something: its replacement equals the code that its snippet %q fits", e.file, e.old)
		}
		for j, d := range changes[:i] {
			if d.file == c.file && d.from < c.to && c.from < d.to {
				return nil, nil, fmt.Errorf("two edits of %s overlap: %q and %q", e.file, m.edits[j].old, e.old)
			}
		}
	}
	return changes, folders, nil
}

// apply returns the new text of each file that the mutant changes, by file name.
func (m mutant) apply(s *source) (map[string]string, error) {
	changes, folders, err := m.changes(s)
	if err != nil {
		return nil, err
	}
	changed := map[string]string{}
	for i, c := range changes {
		changed[c.file] = folders[i].texts[c.file]
	}
	// The loop applies the changes from the end of each file to its start, so that the offsets of
	// the remaining changes stay valid.
	slices.SortStableFunc(changes, func(a, b change) int { return b.from - a.from })
	for _, c := range changes {
		changed[c.file] = changed[c.file][:c.from] + c.text + changed[c.file][c.to:]
	}
	if len(changed) == 0 {
		return nil, errors.New("mutant must have an edit")
	}
	return changed, nil
}
