package ui

import (
	"io"
	"strings"
)

// Table is rows of cells whose columns line up. The first row is the heading.
type Table struct{ rows [][]string }

// NewTable returns a table with a heading.
func NewTable(heading ...string) *Table { return &Table{rows: [][]string{heading}} }

// Row appends a row. Cells may be coloured.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table, its heading dimmed. An empty heading is not written.
func (t *Table) Write(w io.Writer, p Paint) error {
	rows := t.rows
	if len(rows[0]) == 0 {
		rows = rows[1:]
	}
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		line := ""
		for i, cell := range row {
			line += pad(cell, widths[i]) + "   "
		}
		line = strings.TrimRight(line, " ")
		if n == 0 && len(t.rows[0]) > 0 {
			line = p.Dim(line)
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
