package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "write the completion script of a shell", Category: categoryProgram, ArgsUsage: "bash|zsh|fish",
		UsageText: examples(
			[2]string{"iibake completion bash > /etc/bash_completion.d/iibake", "as root, for everybody"},
			[2]string{`iibake completion zsh > "${fpath[1]}/_iibake"`, "before compinit runs"},
			[2]string{"iibake completion fish > ~/.config/fish/completions/iibake.fish", "for yourself"}),
		BashComplete: func(*cli.Context) { _ = con.printf("bash\nzsh\nfish\n") },
		Action: func(c *cli.Context) error {
			args, err := operands(c, "SHELL")
			if err != nil {
				return err
			}
			switch args[0] {
			case "bash":
				return con.printf("%s", bashCompletion)
			case "zsh":
				return con.printf("%s", zshCompletion)
			case "fish":
				script, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				return con.printf("%s", strings.ReplaceAll(script, "`", "")) // they mark values in our help
			}
			return fmt.Errorf("%w: completion %s: want bash, zsh or fish", errUsage, args[0])
		},
	}
}

// An image may hold : and @, which bash takes for ends of words: the script splits the line itself, and gives bash only what
// comes behind the last of them.
const bashCompletion = `# bash completion of iibake
_iibake() {
	local line=${COMP_LINE:0:COMP_POINT} cur head opts
	local -a words
	cur=${line##*[[:space:]]}
	read -ra words <<<"${line%"$cur"}"
	[[ $cur == -* ]] && words+=("$cur")
	opts=$(iibake "${words[@]:1}" --generate-bash-completion 2>/dev/null) || return
	mapfile -t COMPREPLY < <(compgen -W "$opts" -- "$cur")
	head=${cur%"${cur##*[:@=]}"}
	COMPREPLY=("${COMPREPLY[@]#"$head"}")
}
complete -o bashdefault -o default -F _iibake iibake
`

const zshCompletion = `#compdef iibake
_iibake() {
	local -a opts
	local cur=${words[CURRENT]}
	if [[ $cur == -* ]]; then
		opts=("${(@f)$(iibake ${words[2,CURRENT]} --generate-bash-completion 2>/dev/null)}")
	else
		opts=("${(@f)$(iibake ${words[2,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
	fi
	if [[ -n ${opts[1]} ]]; then
		compadd -a opts
	else
		_files
	fi
}
if [[ $funcstack[1] == _iibake ]]; then
	_iibake "$@"
else
	compdef _iibake iibake
fi
`

// orFlags completes a word that begins with a dash to an option, and any other one as operand does. The word stands before
// the option that asks for completions.
func orFlags(operand cli.BashCompleteFunc) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		if n := len(os.Args); n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
			cli.DefaultCompleteWithFlags(c.Command)(c)
			return
		}
		operand(c)
	}
}

// completeImages writes the images that an operand can mean.
func completeImages(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		r, err := openRecord(c)
		if err != nil {
			return // whoever presses Tab wants no errors
		}
		images, err := r.images.List(c.Context, "")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, img := range images {
			if !seen[img.Name] {
				seen[img.Name] = true
				_ = con.printf("%s\n", img.Name)
			}
			_ = con.printf("%s\n", img.Ref)
			channels, _ := r.channels.Of(c.Context, img.Ref)
			for _, ch := range channels {
				_ = con.printf("%s@%s\n", img.Name, ch)
			}
		}
	})
}

// completeMove writes images, and behind one of them the channels that it may enter.
func completeMove(con *console) cli.BashCompleteFunc {
	images := completeImages(con)
	return func(c *cli.Context) {
		p, err := loadProject(c)
		if c.NArg() == 0 || err != nil {
			images(c)
			return
		}
		orFlags(func(*cli.Context) {
			for _, name := range pipeline(p) {
				_ = con.printf("%s\n", name)
			}
		})(c)
	}
}

// completeTemplates writes the templates of the project.
func completeTemplates(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		p, err := loadProject(c)
		if err != nil {
			return
		}
		for _, t := range p.Images {
			_ = con.printf("%s\n", t.Name)
		}
	})
}
