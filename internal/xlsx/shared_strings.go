package xlsx

import (
	"archive/zip"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"os"
)

// sharedStrings holds the shared strings of a workbook, to which cells refer by number.
// If the strings exceed stringsInMemory, they are kept in a temporary file.
type sharedStrings struct {
	part *zip.File
	n    int
	// marks holds the offset of each block of stringsPerBlock strings.
	marks []int64
	size  int64
	mem   []byte
	file  *os.File
	// temporary is true if the file must be removed after it is closed, because the
	// system cannot remove an open file.
	temporary bool
	// blocks caches the blocks that were most recently read from the file, by number. The field "order"
	// holds the numbers of these blocks, the oldest first.
	blocks map[int][]byte
	order  []int
}

const (
	stringsInMemory = 4 << 20
	stringsPerBlock = 64 // the number of strings in a block; only the offset of the block's first string is kept
	blocksKept      = 256
)

// load reads all shared strings of the workbook.
func (t *sharedStrings) load(b *Book) (err error) {
	in, err := b.open(t.part, maxSharedStrings)
	if err != nil {
		return err
	}
	defer in.close()
	var text []byte
	inText, phonetic := false, 0
	for {
		token, err := in.next()
		if errors.Is(err, io.EOF) {
			return t.spill(0)
		}
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "si":
				text = text[:0]
			case "t":
				inText = phonetic == 0
			case "rPh": // this element is the pronunciation and not a part of the text
				phonetic++
			}
		case xml.CharData:
			if inText {
				if text = append(text, e...); len(text) > maxToken {
					return b.errorHere("a cell has more than %d bytes: shorten it", maxToken)
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "t":
				inText = false
			case "rPh":
				phonetic--
			case "si":
				if err := t.add(unescape(text)); err != nil {
					return err
				}
			}
		}
	}
}

func (t *sharedStrings) add(text []byte) error {
	if t.n%stringsPerBlock == 0 {
		t.marks = append(t.marks, t.size)
	}
	t.n++
	before := len(t.mem)
	t.mem = binary.AppendUvarint(t.mem, uint64(len(text)))
	t.mem = append(t.mem, text...)
	t.size += int64(len(t.mem) - before)
	return t.spill(stringsInMemory)
}

// spill moves the strings from memory to the file if they take more bytes than the parameter
// "limit". If limit is 0, spill moves them only if the file already exists.
func (t *sharedStrings) spill(limit int) (err error) {
	if len(t.mem) <= limit || limit == 0 && t.file == nil {
		return nil
	}
	if t.file == nil {
		if t.file, err = os.CreateTemp("", "tuma-texts-*"); err != nil {
			return err
		}
		t.temporary = os.Remove(t.file.Name()) != nil
		t.blocks = map[int][]byte{}
	}
	_, err = t.file.Write(t.mem)
	t.mem = t.mem[:0]
	return err
}

func (t *sharedStrings) close() {
	if t == nil || t.file == nil {
		return
	}
	_ = t.file.Close() // an error does not matter, because the content is not needed any more
	if t.temporary {
		_ = os.Remove(t.file.Name()) // if this fails, the file stays in the temporary directory
	}
}

var errNoText = errors.New("a cell refers to a text that does not exist")

// The method "at" returns the string number i. It is valid until the next call.
func (t *sharedStrings) at(i int) ([]byte, error) {
	if t == nil || i < 0 || i >= t.n {
		return nil, errNoText
	}
	b, err := t.block(i / stringsPerBlock)
	if err != nil {
		return nil, err
	}
	for range i % stringsPerBlock {
		n, w := binary.Uvarint(b)
		b = b[w+int(n):]
	}
	n, w := binary.Uvarint(b)
	return b[w : w+int(n)], nil
}

// The method "block" returns the bytes of block number k. A block holds stringsPerBlock shared strings.
// The method takes the bytes from memory, from the cache or from the temporary file.
func (t *sharedStrings) block(k int) ([]byte, error) {
	from, to := t.marks[k], t.size
	if k+1 < len(t.marks) {
		to = t.marks[k+1]
	}
	if t.file == nil {
		return t.mem[from:to], nil
	}
	if b, ok := t.blocks[k]; ok {
		return b, nil
	}
	var b []byte
	if len(t.order) == blocksKept {
		b = t.blocks[t.order[0]][:0]
		delete(t.blocks, t.order[0])
		t.order = t.order[1:]
	}
	if int64(cap(b)) < to-from {
		b = make([]byte, to-from)
	}
	b = b[:to-from]
	if _, err := t.file.ReadAt(b, from); err != nil {
		return nil, err
	}
	t.blocks[k] = b
	t.order = append(t.order, k)
	return b, nil
}
