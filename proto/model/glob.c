// A pattern becomes components (between slashes), a component tokens: runs of literal bytes, '?',
// '*' and classes. The literal bytes before the first wildcard are compared at once; only names
// that begin with them are looked at further, from the component where they end.
//
// Matching has two levels. Within a component, the last '*' passed is the only one that is ever
// reconsidered (what an earlier one took cannot matter any more): p tokens against n bytes take at
// most p x n steps. Across components, '**' may stop at several places, and as it must not pass a
// component with a leading dot, the first place is not always a good one; so all of them are
// followed at once: a set of bits says which components of the pattern may come next, and each
// component of the name leads from one set to the next. No pair of components is compared twice, so
// the whole takes at most the sum of their products, pattern x name. Nothing recurs or allocates.

#include "proto/model/glob.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/base/utf8.h"
#include "proto/model/namespace.h"

enum token_kind {
    TOKEN_LITERAL,   // `length` of the literals from `offset`
    TOKEN_ANY,       // one character
    TOKEN_STAR,      // any characters
    TOKEN_CLASS,     // one of `length` of the ranges from `offset`
    TOKEN_CLASS_NOT, // none of them
};

struct token {
    uint16_t kind;
    uint16_t offset;
    uint16_t length;
};

struct component {
    uint16_t token_first;
    uint16_t tokens_count;
    uint16_t literal_offset; // where it begins in the literals
    bool is_double_star;
    bool accepts_dot; // its first literal, before any wildcard but a '*', begins with a dot
};

struct range {
    uint32_t low;
    uint32_t high;
};

// One allocation. The literals hold the slashes too, so that their beginning is the prefix.
struct glob {
    bool is_everything;
    bool is_exact;
    bool is_system;
    uint16_t prefix_length;
    uint16_t prefix_component; // the component that has the first wildcard
    uint16_t components_count;
    uint16_t tokens_count;
    uint16_t ranges_count;
    uint16_t literals_length;
    struct range *ranges;
    struct component *components;
    struct token *tokens;
    uint8_t *literals;
};

enum { STATE_WORDS = PATTERN_BYTES_MAX / 64 + 1 };
static_assert(PATTERN_BYTES_MAX + 1 < STATE_WORDS * 64, "a bit for each component and the end");
static_assert(PATTERN_BYTES_MAX >= NAMESPACE_BYTES_MAX, "any name can be written as a pattern");

// A character and its length; what is not UTF-8 stands for itself, apart from all characters.
static size_t wide_character_at(struct bytes text, size_t at, uint32_t *character_out)
{
    const uint8_t *in = text.data + at;
    switch (utf8_sequence(in, text.length - at)) {
    case 1:
        *character_out = in[0];
        return 1;
    case 2:
        *character_out = (in[0] & 0x1fu) << 6 | (in[1] & 0x3fu);
        return 2;
    case 3:
        *character_out = (in[0] & 0x0fu) << 12 | (in[1] & 0x3fu) << 6 | (in[2] & 0x3fu);
        return 3;
    case 4:
        *character_out =
            (in[0] & 0x07u) << 18 | (in[1] & 0x3fu) << 12 | (in[2] & 0x3fu) << 6 | (in[3] & 0x3fu);
        return 4;
    default:
        *character_out = 0x110000u + in[0];
        return 1;
    }
}

static inline size_t character_at(struct bytes text, size_t at, uint32_t *character_out)
{
    *character_out = text.data[at];
    return *character_out < 0x80 ? 1 : wide_character_at(text, at, character_out);
}

static size_t count_byte(struct bytes text, char byte)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) {
        count += text.data[i] == (uint8_t)byte;
    }
    return count;
}

// Room for whatever `pattern` can become.
static struct glob *glob_new(struct bytes pattern)
{
    size_t components = count_byte(pattern, '/') + 1;
    size_t classes = count_byte(pattern, '[');
    size_t wildcards = count_byte(pattern, '*') + count_byte(pattern, '?') + classes;
    size_t tokens = 2 * wildcards + components;
    size_t ranges = classes > 0 ? pattern.length : 0;
    struct glob *glob = calloc(1, sizeof *glob + ranges * sizeof(struct range) +
                                      components * sizeof(struct component) +
                                      tokens * sizeof(struct token) + pattern.length);
    if (glob) {
        glob->ranges = (struct range *)(glob + 1);
        glob->components = (struct component *)(glob->ranges + ranges);
        glob->tokens = (struct token *)(glob->components + components);
        glob->literals = (uint8_t *)(glob->tokens + tokens);
    }
    return glob;
}

void glob_free(struct glob *glob)
{
    free(glob);
}

struct parser {
    struct glob *glob;
    struct bytes pattern;
    size_t at;
    struct reason *reason;
};

static struct component *current_component(struct parser *parser)
{
    return &parser->glob->components[parser->glob->components_count - 1];
}

static void begin_component(struct parser *parser)
{
    struct glob *glob = parser->glob;
    glob->components[glob->components_count++] = (struct component){
        .token_first = glob->tokens_count,
        .literal_offset = glob->literals_length,
    };
}

// The first wildcard ends the prefix.
static void end_prefix(struct parser *parser)
{
    struct glob *glob = parser->glob;
    if (glob->is_exact) {
        glob->is_exact = false;
        glob->prefix_length = glob->literals_length;
        glob->prefix_component = glob->components_count - 1;
    }
}

static void add_token(struct parser *parser, enum token_kind kind, size_t offset, size_t length)
{
    struct glob *glob = parser->glob;
    struct component *component = current_component(parser);
    const struct token *first = &glob->tokens[component->token_first];
    bool is_leading =
        component->tokens_count == 0 || (component->tokens_count == 1 && first->kind == TOKEN_STAR);
    if (kind == TOKEN_LITERAL) {
        component->accepts_dot |= is_leading && glob->literals[offset] == '.';
    } else {
        end_prefix(parser);
    }
    glob->tokens[glob->tokens_count++] =
        (struct token){.kind = kind, .offset = (uint16_t)offset, .length = (uint16_t)length};
    component->tokens_count++;
}

static void add_literal(struct parser *parser, uint8_t byte)
{
    struct glob *glob = parser->glob;
    size_t offset = glob->literals_length;
    glob->literals[glob->literals_length++] = byte;
    if (byte == '/') {
        begin_component(parser);
        return;
    }
    struct token *last = glob->tokens + glob->tokens_count - 1;
    if (current_component(parser)->tokens_count > 0 && last->kind == TOKEN_LITERAL) {
        last->length++;
    } else {
        add_token(parser, TOKEN_LITERAL, offset, 1);
    }
}

static int parse_stars(struct parser *parser)
{
    const uint8_t *pattern = parser->pattern.data;
    size_t start = parser->at;
    while (parser->at < parser->pattern.length && pattern[parser->at] == '*') {
        parser->at++;
    }
    struct component *component = current_component(parser);
    if (parser->at - start == 1) {
        add_token(parser, TOKEN_STAR, 0, 0);
        return 0;
    }
    bool ends = parser->at == parser->pattern.length || pattern[parser->at] == '/';
    if (parser->at - start > 2 || component->tokens_count > 0 || !ends) {
        return reason_set(parser->reason, ERR_INVALID,
                          "the pattern has \"**\" at byte %zu, where it is not a whole component",
                          start);
    }
    end_prefix(parser);
    component->is_double_star = true;
    if (parser->glob->components_count > 1 && component[-1].is_double_star) {
        parser->glob->components_count--; // two in a row are one
    }
    return 0;
}

// One character of a class, behind which the parser then stands; false: the pattern has ended.
static bool parse_class_character(struct parser *parser, uint32_t *character_out)
{
    struct bytes pattern = parser->pattern;
    if (parser->at < pattern.length && pattern.data[parser->at] == '\\') {
        parser->at++;
    }
    if (parser->at >= pattern.length) {
        return false;
    }
    parser->at += character_at(pattern, parser->at, character_out);
    return true;
}

// Whether a '-' stands here that is not the last of its class.
static bool is_at_range(const struct parser *parser)
{
    const uint8_t *at = parser->pattern.data + parser->at;
    size_t left = parser->pattern.length - parser->at;
    return left >= 2 && at[0] == '-' && at[1] != ']';
}

static int parse_class(struct parser *parser)
{
    struct glob *glob = parser->glob;
    struct bytes pattern = parser->pattern;
    size_t start = parser->at++;
    size_t ranges_first = glob->ranges_count;
    bool is_not = parser->at < pattern.length && pattern.data[parser->at] == '!';
    parser->at += is_not;
    for (;;) {
        bool is_first = glob->ranges_count == ranges_first;
        if (parser->at < pattern.length && pattern.data[parser->at] == ']' && !is_first) {
            break;
        }
        struct range range;
        bool is_there = parse_class_character(parser, &range.low);
        range.high = range.low;
        if (is_there && is_at_range(parser)) {
            parser->at++;
            is_there = parse_class_character(parser, &range.high);
        }
        if (!is_there) {
            return reason_set(parser->reason, ERR_INVALID,
                              "the pattern has a class, at byte %zu, that is not closed by ']'",
                              start);
        }
        if (range.high < range.low) {
            return reason_set(parser->reason, ERR_INVALID,
                              "the pattern has a class, at byte %zu, with a backward range", start);
        }
        glob->ranges[glob->ranges_count++] = range;
    }
    parser->at++;
    add_token(parser, is_not ? TOKEN_CLASS_NOT : TOKEN_CLASS, ranges_first,
              glob->ranges_count - ranges_first);
    return 0;
}

static int parse_element(struct parser *parser)
{
    switch (parser->pattern.data[parser->at]) {
    case '*':
        return parse_stars(parser);
    case '[':
        return parse_class(parser);
    case '?':
        add_token(parser, TOKEN_ANY, 0, 0);
        parser->at++;
        return 0;
    case '\\':
        parser->at++;
        if (parser->at == parser->pattern.length) {
            return reason_set(parser->reason, ERR_INVALID, "the pattern ends with a backslash");
        }
        break;
    }
    add_literal(parser, parser->pattern.data[parser->at++]);
    return 0;
}

static int parse(struct parser *parser)
{
    struct glob *glob = parser->glob;
    glob->is_exact = true;
    begin_component(parser);
    while (parser->at < parser->pattern.length) {
        int err = parse_element(parser);
        if (err) {
            return err;
        }
    }
    if (glob->is_exact) {
        glob->prefix_length = glob->literals_length;
    }
    glob->is_system = namespace_is_system(bytes_of(glob->literals, glob->prefix_length));
    glob->is_everything = bytes_equal(parser->pattern, bytes_of_text("**")) ||
                          bytes_equal(parser->pattern, bytes_of_text("/**/*"));
    return 0;
}

static int pattern_validate(struct bytes pattern, struct reason *reason)
{
    if (pattern.length == 0) {
        return reason_set(reason, ERR_INVALID, "the pattern is empty");
    }
    if (pattern.length > PATTERN_BYTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "the pattern has %zu bytes, %d are allowed",
                          pattern.length, PATTERN_BYTES_MAX);
    }
    for (size_t at = 0; at < pattern.length;) {
        if (utf8_sequence(pattern.data + at, pattern.length - at) == 0) {
            return reason_set(reason, ERR_INVALID, "the pattern is not UTF-8 at byte %zu", at);
        }
        uint32_t character;
        size_t step = character_at(pattern, at, &character);
        if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
            return reason_set(reason, ERR_INVALID,
                              "the pattern has a control character (0x%02x) at byte %zu",
                              (unsigned)character, at);
        }
        at += step;
    }
    return 0;
}

int glob_compile(struct bytes pattern, struct glob **glob_out, struct reason *reason)
{
    int err = pattern_validate(pattern, reason);
    if (err) {
        return err;
    }
    struct glob *glob = glob_new(pattern);
    if (!glob) {
        return ERR_MEMORY;
    }
    struct parser parser = {.glob = glob, .pattern = pattern, .reason = reason};
    err = parse(&parser);
    if (err) {
        glob_free(glob);
        return err;
    }
    *glob_out = glob;
    return 0;
}

int glob_of_name(struct bytes name, struct glob **glob_out, struct reason *reason)
{
    int err = namespace_validate(name, reason);
    if (err) {
        return err;
    }
    struct glob *glob = glob_new(name);
    if (!glob) {
        return ERR_MEMORY;
    }
    memcpy(glob->literals, name.data, name.length);
    glob->is_exact = true;
    glob->is_system = namespace_is_system(name);
    glob->literals_length = (uint16_t)name.length;
    glob->prefix_length = (uint16_t)name.length;
    *glob_out = glob;
    return 0;
}

static bool class_holds(const struct glob *glob, const struct token *token, uint32_t character)
{
    const struct range *range = glob->ranges + token->offset;
    for (size_t i = 0; i < token->length; i++) {
        if (character >= range[i].low && character <= range[i].high) {
            return true;
        }
    }
    return false;
}

// How many bytes of the text at `at` the token takes; 0: it does not match there. Not for '*'.
static size_t token_take(const struct glob *glob, const struct token *token, struct bytes text,
                         size_t at)
{
    if (at == text.length) {
        return 0;
    }
    if (token->kind == TOKEN_LITERAL) {
        bool is_same = token->length <= text.length - at &&
                       memcmp(text.data + at, glob->literals + token->offset, token->length) == 0;
        return is_same ? token->length : 0;
    }
    uint32_t character;
    size_t step = character_at(text, at, &character);
    bool is_match = token->kind == TOKEN_ANY ||
                    class_holds(glob, token, character) == (token->kind == TOKEN_CLASS);
    return is_match ? step : 0;
}

static bool component_matches(const struct glob *glob, const struct component *component,
                              struct bytes text)
{
    const struct token *token = glob->tokens + component->token_first;
    const struct token *end = token + component->tokens_count;
    if (text.length > 0 && text.data[0] == '.') {
        if (!component->accepts_dot) {
            return false;
        }
        token += token->kind == TOKEN_STAR; // which can take nothing here
    }
    size_t at = 0;
    const struct token *retry = NULL; // behind the last '*', and
    size_t retry_at = 0;              // where in the text it was last tried
    for (;;) {
        if (token < end && token->kind == TOKEN_STAR) {
            retry = ++token;
            retry_at = at;
        }
        if (token == end && (at == text.length || token == retry)) {
            return true;
        }
        size_t step = token < end ? token_take(glob, token, text, at) : 0;
        if (step > 0) {
            at += step;
            token++;
            continue;
        }
        if (!retry || retry_at == text.length) {
            return false;
        }
        uint32_t skipped;
        retry_at += character_at(text, retry_at, &skipped);
        at = retry_at;
        token = retry;
    }
}

// Bit i: component i of the pattern may be the next to match; bit components_count: all have.
struct states {
    uint64_t words[STATE_WORDS];
};

static inline void add_state(const struct glob *glob, struct states *states, size_t i)
{
    states->words[i / 64] |= (uint64_t)1 << i % 64;
    if (i + 1 < glob->components_count && glob->components[i].is_double_star) {
        i++; // it may stand for nothing, but not at the end
        states->words[i / 64] |= (uint64_t)1 << i % 64;
    }
}

// The states after component i of the pattern, in turn, has met this component of the name.
static inline void step_state(const struct glob *glob, size_t i, struct bytes text,
                              struct states *next)
{
    if (i == glob->components_count) {
        return;
    }
    const struct component *component = &glob->components[i];
    if (!component->is_double_star) {
        if (component_matches(glob, component, text)) {
            add_state(glob, next, i + 1);
        }
        return;
    }
    if (text.length > 0 && text.data[0] == '.') {
        return;
    }
    add_state(glob, next, i);
    if (i + 1 == glob->components_count) {
        add_state(glob, next, i + 1);
    }
}

// Steps all states; false: none is left.
static inline bool step_states(const struct glob *glob, struct states *states, size_t words,
                               struct bytes text)
{
    struct states next;
    uint64_t any = 0;
    for (size_t word = 0; word < words; word++) {
        next.words[word] = 0;
    }
    for (size_t word = 0; word < words; word++) {
        for (uint64_t bits = states->words[word]; bits; bits &= bits - 1) {
            step_state(glob, word * 64 + (size_t)__builtin_ctzll(bits), text, &next);
        }
    }
    for (size_t word = 0; word < words; word++) {
        states->words[word] = next.words[word];
        any |= next.words[word];
    }
    return any != 0;
}

// Inlined for a fixed number of words, of which one is nearly always enough.
static inline __attribute__((always_inline)) bool components_match(const struct glob *glob,
                                                                   struct bytes name, size_t words)
{
    struct states states;
    for (size_t word = 0; word < words; word++) {
        states.words[word] = 0;
    }
    add_state(glob, &states, glob->prefix_component);
    size_t at = glob->components[glob->prefix_component].literal_offset;
    for (;;) {
        const uint8_t *start = name.data + at;
        const uint8_t *slash = memchr(start, '/', name.length - at);
        size_t length = slash ? (size_t)(slash - start) : name.length - at;
        if (!step_states(glob, &states, words, bytes_of(start, length)) || !slash) {
            break;
        }
        at += length + 1;
    }
    size_t end = glob->components_count;
    return states.words[end / 64] >> end % 64 & 1;
}

bool glob_matches(const struct glob *glob, struct bytes name)
{
    if (!glob->is_system && namespace_is_system(name)) {
        return false;
    }
    if (glob->is_everything) {
        return true;
    }
    if (name.length < glob->prefix_length ||
        memcmp(name.data, glob->literals, glob->prefix_length) != 0) {
        return false;
    }
    if (glob->is_exact) {
        return name.length == glob->prefix_length;
    }
    return glob->components_count < 64 ? components_match(glob, name, 1)
                                       : components_match(glob, name, STATE_WORDS);
}

bool glob_is_everything(const struct glob *glob)
{
    return glob->is_everything;
}

struct bytes glob_prefix(const struct glob *glob, bool *is_exact_out)
{
    *is_exact_out = glob->is_exact;
    return bytes_of(glob->literals, glob->is_everything ? 0 : glob->prefix_length);
}
