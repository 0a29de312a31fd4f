// Completion scripts, made from the very tables that parse the options, so that they never lag
// behind.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-cli/command.h"
#include "client-cli/json.h"
#include "client-cli/print_event.h"

enum { OPTION_OUTPUT = 0x200 };

struct options {
    struct connection_options *connection;
    enum format format;
    const char *shell;
};

static const struct argp_option option_table[] = {
    {"output", OPTION_OUTPUT, "FORMAT", 0,
     "human (the script) or json (an object with the script in it) (default: human)", 0},
    {0},
};

static const char *const shells[] = {"bash", "zsh", "fish"};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
            if (strcmp(argument, shells[i]) == 0 && state->arg_num == 0) {
                options->shell = shells[i];
                return 0;
            }
        }
        argp_error(state, "'%s' is not a shell: bash, zsh or fish", argument);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "the shell is missing: bash, zsh or fish");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};

static const struct argp completion_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "bash|zsh|fish",
    .doc = "Print a completion script for a shell.\v"
           "Examples:\n"
           "  . <(weir completion bash)\n"
           "  weir completion zsh > ~/.zfunc/_weir\n"
           "  weir completion fish > ~/.config/fish/completions/weir.fish",
    .children = children,
};

// The options of a parser and its children, one by one: i counts through them all.
static const struct argp_option *option_at(const struct argp *argp, size_t i)
{
    const struct argp_child *child = argp->children;
    for (const struct argp *table = argp; table; table = child ? (child++)->argp : NULL) {
        const struct argp_option *option = table->options;
        for (; option && option->name; option++, i--) {
            if (i == 0) {
                return option;
            }
        }
    }
    return NULL;
}

static bool is_connection_option(const struct argp_option *option)
{
    const struct argp_option *other;
    for (size_t i = 0; (other = option_at(&connection_options_argp, i)); i++) {
        if (other == option) {
            return true;
        }
    }
    return false;
}

// The values that an option's argument can have, separated by blanks; NULL: anything.
static const char *values_of(const struct argp *argp, const struct argp_option *option)
{
    if (strcmp(option->name, "output") == 0) {
        return strstr(option->doc, "raw") ? "human json raw" : "human json";
    }
    return strcmp(option->name, "from") == 0        ? "beginning end"
           : strcmp(option->name, "order") == 0     ? "arrival stable"
           : strcmp(option->name, "ack") == 0       ? "auto manual"
           : strcmp(option->name, "group-key") == 0 ? "none namespace attribute:"
                                                    : NULL;
}

static const char *arguments_of(const struct command *command)
{
    return command == &command_completion ? "bash zsh fish"
           : command == &command_bench
               ? "produce replay latency fanout replicate subscription subscriptions failover"
           : command == &command_cluster       ? "status verify retire leave rescue lost forgive"
           : command == &command_subscriptions ? "list show create reset delete"
                                               : "";
}

static void write_words(FILE *out, const struct argp *argp)
{
    const struct argp_option *option;
    for (size_t i = 0; (option = option_at(argp, i)); i++) {
        fprintf(out, " --%s", option->name);
        if (isprint(option->key)) {
            fprintf(out, " -%c", option->key);
        }
    }
    fputs(" --help", out);
}

static void write_commands(FILE *out, const struct cli *cli, const char *separator)
{
    for (size_t i = 0; cli->commands[i]; i++) {
        fprintf(out, "%s%s", i > 0 ? separator : "", cli->commands[i]->name);
    }
}

static void write_bash(FILE *out, const struct cli *cli)
{
    fputs("# bash completion for weir\n"
          "_weir() {\n"
          "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
          "    local command='' words='' i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case \"${COMP_WORDS[i]}\" in\n"
          "            ",
          out);
    write_commands(out, cli, "|");
    fputs(") command=\"${COMP_WORDS[i]}\"; break ;;\n"
          "        esac\n"
          "    done\n"
          "    case \"$command $before\" in\n"
          "        *' --from') words='beginning end' ;;\n"
          "        *' --order') words='arrival stable' ;;\n"
          "        *' --ack') words='auto manual' ;;\n"
          "        *' --group-key') words='none namespace attribute:' ;;\n"
          "        get' --output'|consume' --output'|last' --output') words='human json raw' ;;\n"
          "        *' --output') words='human json' ;;\n"
          "        *' --lines'|*' --json'|*' --cursor-file'|*' --socket')\n"
          "            COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
          "    esac\n"
          "    if [[ -z $words ]]; then\n"
          "        case \"$command\" in\n"
          "            '') words='",
          out);
    write_commands(out, cli, " ");
    write_words(out, &connection_options_argp);
    fputs(" --version' ;;\n", out);
    for (size_t i = 0; cli->commands[i]; i++) {
        const struct command *command = cli->commands[i];
        fprintf(out, "            %s) words='%s", command->name, arguments_of(command));
        write_words(out, command->argp);
        fputs("' ;;\n", out);
    }
    fputs("        esac\n"
          "    fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -F _weir weir\n",
          out);
}

// For use within single quotes of zsh, where these characters have a meaning.
static void write_quoted(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (strchr(special, *text)) {
            putc('\\', out);
        }
        fputs(*text == '\'' ? "'\\''" : (char[2]){*text}, out);
    }
}

static bool is_file(const struct argp_option *option)
{
    return option->arg && strstr("FILE|-PATH", option->arg);
}

static void write_zsh_option(FILE *out, const struct argp *argp, const struct argp_option *option,
                             bool is_short)
{
    const char *values = values_of(argp, option);
    if (is_short) {
        fprintf(out, " \\\n        '*-%c[", option->key);
    } else {
        fprintf(out, " \\\n        '*--%s%s[", option->name, option->arg ? "=" : "");
    }
    write_quoted(out, option->doc, "[]:");
    putc(']', out);
    if (option->arg) {
        putc(':', out);
        write_quoted(out, option->arg, ":");
        if (values) {
            fputs(":(", out);
            write_quoted(out, values, ":");
            putc(')', out);
        } else {
            fputs(is_file(option) ? ":_files" : ": ", out);
        }
    }
    putc('\'', out);
}

static void write_zsh_options(FILE *out, const struct argp *argp)
{
    const struct argp_option *option;
    for (size_t i = 0; (option = option_at(argp, i)); i++) {
        write_zsh_option(out, argp, option, false);
        if (isprint(option->key)) {
            write_zsh_option(out, argp, option, true);
        }
    }
}

static void write_zsh(FILE *out, const struct cli *cli)
{
    fputs("#compdef weir\n"
          "_weir() {\n"
          "    local -i i=2\n"
          "    local command=''\n"
          "    for ((i = 2; i < CURRENT; i++)); do\n"
          "        case \"${words[i]}\" in\n"
          "            ",
          out);
    write_commands(out, cli, "|");
    fputs(") command=\"${words[i]}\"; break ;;\n"
          "        esac\n"
          "    done\n"
          "    case \"$command\" in\n",
          out);
    for (size_t i = 0; cli->commands[i]; i++) {
        fprintf(out, "    %s) _arguments", cli->commands[i]->name);
        write_zsh_options(out, cli->commands[i]->argp);
        fprintf(out, " \\\n        '*:argument:(%s %s)' ;;\n", cli->commands[i]->name,
                arguments_of(cli->commands[i]));
    }
    fputs("    *) _arguments", out);
    write_zsh_options(out, &connection_options_argp);
    fputs(" \\\n        '*:command:((", out);
    for (size_t i = 0; cli->commands[i]; i++) {
        fprintf(out, "%s\\:\"%s\" ", cli->commands[i]->name, cli->commands[i]->summary);
    }
    fputs("))' ;;\n"
          "    esac\n"
          "}\n"
          "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _weir \"$@\"; else\n"
          "    compdef _weir weir\n"
          "fi\n",
          out);
}

static void write_fish_option(FILE *out, const char *condition, const struct argp *argp,
                              const struct argp_option *option)
{
    const char *values = option->arg ? values_of(argp, option) : NULL;
    fprintf(out, "complete -c weir %s -l %s", condition, option->name);
    if (isprint(option->key)) {
        fprintf(out, " -s %c", option->key);
    }
    if (values) {
        fprintf(out, " -x -a '%s'", values);
    } else if (option->arg) {
        fputs(is_file(option) ? " -r -F" : " -x", out);
    }
    fputs(" -d '", out);
    for (const char *text = option->doc; *text; text++) {
        fputs(*text == '\'' ? "\\'" : (char[2]){*text}, out);
    }
    fputs("'\n", out);
}

static void write_fish(FILE *out, const struct cli *cli)
{
    const struct argp_option *option;
    fputs("# fish completion for weir\ncomplete -c weir -f\n", out);
    for (size_t i = 0; (option = option_at(&connection_options_argp, i)); i++) {
        write_fish_option(out, "", &connection_options_argp, option);
    }
    for (size_t i = 0; cli->commands[i]; i++) {
        const struct command *command = cli->commands[i];
        char condition[96];
        fprintf(out, "complete -c weir -n __fish_use_subcommand -a %s -d '%s'\n", command->name,
                command->summary);
        snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %s'", command->name);
        if (*arguments_of(command)) {
            fprintf(out, "complete -c weir %s -a '%s'\n", condition, arguments_of(command));
        }
        for (size_t j = 0; (option = option_at(command->argp, j)); j++) {
            if (!is_connection_option(option)) {
                write_fish_option(out, condition, command->argp, option);
            }
        }
    }
}

static int print(const struct options *options, struct output *output, struct bytes script)
{
    if (options->format == FORMAT_HUMAN) {
        return buffer_append(&output->buffer, script);
    }
    int err = output_text(output, "{\"shell\":\"%s\",\"script\":", options->shell);
    err = err != 0 ? err : json_append_string(&output->buffer, script);
    return err != 0 ? err : json_append(&output->buffer, "}\n");
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {.connection = &cli->connection};
    argp_parse(&completion_argp, argc, argv, 0, NULL, &options);
    char *script = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&script, &length);
    if (!out) {
        cli_say("%s", err_text(ERR_MEMORY));
        return STATUS_FAILURE;
    }
    if (strcmp(options.shell, "bash") == 0) {
        write_bash(out, cli);
    } else if (strcmp(options.shell, "zsh") == 0) {
        write_zsh(out, cli);
    } else {
        write_fish(out, cli);
    }
    fclose(out);
    struct output output;
    output_init(&output, cli->signal);
    int status = output_end(&output, print(&options, &output, bytes_of(script, length)));
    output_deinit(&output);
    free(script);
    return status;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print a completion script for bash, zsh or fish",
    .argp = &completion_argp,
    .run = run,
};
