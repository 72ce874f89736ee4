package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

// maxFile is far beyond what anybody writes by hand, in bytes, and small enough that no file can keep the decoder busy.
const maxFile = 256 << 10

// read returns the content of a file of the repository.
func (l *loader) read(name string) ([]byte, error) {
	info, err := l.root.Stat(name)
	if err != nil {
		return nil, plainPathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("this is no regular file")
	}
	f, err := l.root.Open(name)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer func() { _ = f.Close() }()
	return readAll(f)
}

// readAll reads one byte more than a file may have at most.
func readAll(f fs.File) ([]byte, error) { return io.ReadAll(io.LimitReader(f, maxFile+1)) }

// plainPathError leaves away the operation and the path, which the position of the error says already.
func plainPathError(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// parse returns the root of the file's one document, or nil after an error. err is what reading the file gave.
func (d *decoder) parse(content []byte, err error) *yaml.Node {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	top := bake.Position{File: d.file, Line: 1, Column: 1}
	switch i := invalidUTF8(content); {
	case err != nil:
		d.failAt(top, "cannot read the file: "+err.Error(), "give the path of a YAML file")
		return nil
	case len(content) > maxFile:
		d.failAt(top, "the file is larger than 256 KiB", "keep large content in files of its own and name them here")
		return nil
	case i >= 0:
		d.failAt(d.offset(content, i), "the text is not UTF-8", "save the file as UTF-8")
		return nil
	}
	stream := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	if err := next(stream, &doc); errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		d.failAt(top, "the file is empty", "begin it with the line version: 1")
		return nil
	} else if err != nil {
		d.syntax(content, err)
		return nil
	}
	if err := next(stream, &second); err == nil {
		d.failAt(d.position(&second), "a second document begins here", "write one document a file")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(content, err)
		return nil
	}
	return doc.Content[0]
}

// next reads a document. A parser that panics has met a syntax error, too: its input comes from anywhere.
func next(stream *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return stream.Decode(doc)
}

func invalidUTF8(content []byte) int {
	if utf8.Valid(content) {
		return -1
	}
	for i := 0; i < len(content); {
		r, n := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// offset returns the position of a byte. Lines end where the parser has them end, which says the places of everything else.
func (d *decoder) offset(content []byte, i int) bake.Position {
	pos := bake.Position{File: d.file, Line: 1, Column: 1}
	for at := 0; at < i; {
		r, n := utf8.DecodeRune(content[at:])
		at += n
		pos.Column++
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) && (r != '\r' || !bytes.HasPrefix(content[at:], []byte("\n"))) {
			pos.Line, pos.Column = pos.Line+1, 1
		}
	}
	return pos
}

// syntax reports what the YAML parser said. The parser names at most the line where the construct began that it was in, so
// the place is found by parsing less and less of the file: it is where the same complaint first comes up.
func (d *decoder) syntax(content []byte, err error) {
	complaint := err.Error()
	good, bad := 0, len(content)
	for bad-good > 1 {
		middle := (good + bad) / 2
		if complain(content[:middle]) == complaint {
			bad = middle
		} else {
			good = middle
		}
	}
	at := max(0, bad-1)
	text := regexp.MustCompile(`^yaml: (line \d+: )?`).ReplaceAllString(complaint, "")
	d.failAt(d.offset(content, at), "this is not YAML: "+text, syntaxHint(text, content, at))
}

func complain(content []byte) string {
	stream := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		if err := next(stream, &doc); err != nil {
			return err.Error()
		}
	}
}

// syntaxHint guesses from the complaint and the line what went wrong.
func syntaxHint(complaint string, content []byte, at int) string {
	start := 1 + bytes.LastIndexByte(content[:at], '\n')
	line, _, _ := strings.Cut(string(content[start:]), "\n")
	switch indent := line[:len(line)-len(strings.TrimLeft(line, " \t-"))]; {
	case strings.Contains(indent, "\t"):
		return "indent with spaces, a tab is not allowed"
	case strings.Contains(line, "${{") && strings.ContainsAny(complaint, "{[,"):
		return "put a text with ${{ }} in quotes where it stands between { } or [ ]"
	case strings.Contains(complaint, "mapping values"):
		return "put a text that holds a colon in quotes, and indent keys that belong together alike"
	case strings.Contains(complaint, "anchor"):
		return "define the anchor with & above its first use"
	case strings.Contains(complaint, "',' or"):
		return "close the bracket, and separate what it holds with commas"
	case strings.Contains(complaint, "end of stream"):
		return "close the quote"
	}
	return "check the indentation, the quotes and the colons"
}

// isNull reports whether the node holds nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
