"""The words by which keyword routing tells agents apart, in English and Russian: data, with the notation explained.

Entries are separated by commas. `word` is that word, `stem*` every word that begins with it, `two words` a phrase.
Letters are lower case, `ё` is written `е`, contractions are written out (`does not`). What is not prose has a sign
instead: `§md` is the name of a Markdown file, `§error` a name such as `KeyError`, `§trace` a block that shows an error,
`§?` ends a question. The numbers are weights: about 6 says what is wanted, 1 is a hint.
"""

# ruff: noqa: RUF001 - Cyrillic letters are meant.

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that count where a command begins: "Add …", "Can you add …", "…, then add …", "Нужно добавить …".
COMMANDS: Mapping[str, Mapping[int, str]] = {
    "coder": {
        8: """
            implement, refactor, rewrite, rename,
            реализовать, отрефакторить, переписать, переименовать
        """,
        6: """
            add, remove, delete, drop, replace, move, extract, convert, migrate, port, update, upgrade,
            downgrade, bump, change, modify, edit, adjust, adapt, set, configure, install, reinstall,
            uninstall, run, rerun, execute, format, reformat, lint, clean, cleanup, tidy, simplify,
            optimize, optimise, improve, enhance, extend, expand, integrate, connect, hook, wire, enable,
            disable, allow, switch, turn, translate, apply, commit, push, merge, rebase, squash, revert,
            undo, insert, append, prepend, prefix, expose, wrap, unwrap, inline, deduplicate, handle,
            validate, increase, decrease, reduce, limit, sort, order, group, put, patch, correct, cover,
            mock, stub, scaffold, bootstrap, initialize, initialise, deploy, publish, release, annotate,
            localize, localise, internationalize, unify, swap, store, save, load, parse, hide, use, stop,
            finish, complete, code, program, generate, build, introduce, register, sanitize, escape,
            encrypt, cache, paginate, include, exclude, strip, trim, round, get rid, take care, bring,
            provide, tweak, tune, rework, restructure, reorganize, overhaul, modernize, automate, schedule,
            guard, protect, secure, harden, restrict, block, filter, join, flatten, normalize, normalise,
            encode, decode, serialize, deserialize, hash, cast, declare, override, inject, decouple,
            parametrize, parameterize, memoize, throttle, debounce, parallelize, dockerize, containerize,
            compress, minify, compile, copy, duplicate, start, restart, launch, spin up, download, fetch,
            scrape, upload, export, import, sync, align, center, centre, animate, shorten, raise, lower,
            return, throw, catch, log, print, make sure, address, polish, unit test, type, keep, render,
            display,
            добавить, удалить, убрать, заменить, перенести, вынести, преобразовать, сконвертировать,
            обновить, изменить, поменять, настроить, установить, запустить, прогнать, отформатировать,
            упростить, оптимизировать, подключить, включить, отключить, выключить, перевести, закоммитить,
            вставить, обернуть, обработать, увеличить, уменьшить, ограничить, отсортировать, покрыть,
            сгенерировать, собрать, дописать, доделать, закончить, внедрить, ускорить, почистить, сохранять,
            сохранить, скрыть, поддержать, проставить, прикрутить, разработать, внести, доработать,
            улучшить, избавиться, развернуть, задеплоить, выполнить, переделать, извлечь, выделить,
            объединить, переместить, сверстать, откатить, исключить, вернуть, расширить, очистить,
            экспортировать, импортировать, автоматизировать, интегрировать, написать тест*
        """,
        5: """
            write, create, make, develop,
            написать, создать, сделать
        """,
        4: """
            fix, resolve, repair,
            исправить, поправить, починить, пофиксить, устранить
        """,
        3: """
            test, style, resize, try, ensure, support, split, give the,
            протестировать, разделить, разбить
        """,
        1: """
            check,
            проверить
        """,
    },
    "debug": {
        7: """
            debug, investigate, diagnose, troubleshoot, reproduce, bisect, track down, hunt down, pinpoint,
            pin down, isolate, find out why, find out what, find the cause, find the reason, find the root,
            find the problem, find the bug, find the error, find the culprit, narrow down, dig into,
            look into, get to the bottom, understand why, figure out why, figure out what, determine why,
            explain why it, see why, see what is,
            отладить, выяснить, разобраться почему, диагностировать, воспроизвести, расследовать,
            найти причину, найти ошибку, найти проблему, найти баг, понять почему, понять из за чего
        """,
        4: """
            analyze, analyse, profile, trace, figure out, fix, resolve, repair, look at, identify,
            исправить, поправить, починить, пофиксить, устранить, проанализировать
        """,
        2: """
            find, locate, check, look, inspect, examine, determine,
            найти, проверить, разобраться, посмотреть
        """,
    },
    "architect": {
        9: """
            design, redesign, architect,
            спроектировать, проектировать
        """,
        7: """
            plan, propose, outline, sketch, draft, draw, think through, think about, brainstorm, document,
            model, map out, come up with, work out, lay out, write up, recommend, suggest, evaluate, assess,
            specify, envision, discuss,
            спланировать, запланировать, предложить, нарисовать, продумать, задокументировать,
            описать требования, сформулировать, определить, оценить, обсудить, придумать, расписать
        """,
        3: """
            define, structure, organize, organise, prepare, break, decide,
            организовать, подготовить, составить
        """,
        2: """
            describe, compare, review,
            разбить, описать, сравнить
        """,
    },
    "ask": {
        6: """
            explain, tell me about, tell me what, tell me how, tell me which, tell me where, teach, walk me,
            clarify, summarize, summarise, know, learn, remind, show me how, show me an example,
            give me an example, interpret, give me an overview, give an overview, give an example,
            talk me through, elaborate,
            объяснить, рассказать, узнать, пояснить, разобраться как, уточнить, научиться
        """,
        4: """
            understand, describe, compare, list, show, tell, name, define, quick question, decipher,
            decode this,
            понять, подсказать, показать, описать, сравнить, перечислить, прочитать
        """,
        2: """
            find where, find which, read, review, give me,
            найти где, посмотреть где
        """,
        1: """
            find, look
        """,
    },
}

# Words that count wherever they stand. Russian imperatives are here: their form alone shows that they are commands.
CUES: Mapping[str, Mapping[int, str]] = {
    "coder": {
        8: """
            реализуй*, отрефактор*, перепиши*, переименуй*
        """,
        6: """
            do the same,
            примени, примените, обрежь*, вытащи, вытащите, вынь, добавляй*, сбрось*, создавай*, добавь*,
            удали, удалите, убери*, замени, замените, перенеси, перенесите, перенесем, вынеси, вынесите,
            преобразуй*, сконвертируй*, конвертируй*, обнови, обновите, измени, измените, поменяй*, настрой,
            настройте, установи, установите, запусти, запустите, прогони*, отформатируй*, упрости,
            упростите, оптимизируй*, подключи, подключите, включи, включите, отключи, отключите, выключи,
            выключите, переведи*, закоммить*, вставь*, оберни*, обработай*, увеличь*, уменьши, уменьшите,
            ограничь*, отсортируй*, покрой*, сгенерируй*, собери, соберите, допиши*, доделай*, закончи,
            закончите, внедри, внедрите, ускорь*, почисти*, скрой, раздели, разделите, извлеки*, перемести,
            переместите, выдели, выделите, объедини, объедините, интегрируй*, мигрируй*, задеплой*,
            разверни*, имплементируй*, закодь*, сверстай*, откати*, подними, поднимите, выполни, выполните,
            переделай*, сохрани, сохраните, поставь*, подставь*, проставь*, используй, используйте, внеси,
            внесите, разработай*, доработай*, улучши, улучшите, избавься, избавьтесь, прикрути*, приведи,
            приведите, верни, верните, расширь*, очисти*, экспортируй*, импортируй*, автоматизируй*,
            загрузи, загрузите, скачай*, запрети, запретите, разреши, разрешите, зарегистрируй*, заполни,
            заполните, залогируй*, кешируй*, закешируй*, отрендери*, выведи, выведите, скопируй*,
            распараллель*, нормализуй*, отправь*, создай pull request*, запушь*, слей, слейте, сократи,
            сократите
        """,
        5: """
            напиши*, создай*, сделай*
        """,
        4: """
            исправь*, поправь*, почини, почините, пофикси*, устрани, устраните
        """,
        3: """
            we need a, we need an, i need a, i need an, there should be, typo*, refactoring, unit test*,
            docstring*, type hint*, boilerplate,
            нужен, нужна, нужно, нужны, опечатк*, рефакторинг*, юнит тест*
        """,
        2: """
            i want the, should be, should also, needs to, bug, bugs, pull request, lint*,
            нужно чтобы, хочу чтобы, чтобы при, так чтобы, баг, баги, багу, бага, багов, то же самое,
            нужна функци*, нужен скрипт
        """,
        1: """
            script, scripts, function*, class, classes, endpoint*, button*, form, method*, import*,
            variable*, test, tests, dockerfile, makefile, css, html, should, feature*, pep, todos, lacks,
            код, кода, скрипт*, функци*, класс*, эндпоинт*, кнопк*, метод*, переменн*, тест, тесты, тестами,
            нужно добавить
        """,
    },
    "debug": {
        7: """
            root cause*,
            отладь*, отлаживай*, выясни*, продиагностируй*, диагностируй*, воспроизведи*, расследуй*
        """,
        6: """
            debugging, find the culprit, is there a bug, is there an error,
            корнев* причин*, найди причин*, найди ошибк*, найди баг*, найди проблем*, разберись почему,
            разберись в чем, разберись что, посмотри почему, посмотри из за, проверь почему, есть ли ошибк*,
            есть ли баг
        """,
        4: """
            исправь*, поправь*, почини, почините, пофикси*, устрани, устраните,
            crash*, fail, fails, failed, failing, failure*, broken, broke, segfault*, segmentation fault*,
            hangs, hang, hanging, freezes, froze, freezing, frozen, stuck, deadlock*, memory leak*, leaks,
            leaking, leak, flaky, race condition*, stopped working, stops working, no longer works,
            used to work, traceback*, stacktrace*, stack trace*, times out, timed out, timing out, time out,
            infinite loop*, no idea why, what is wrong, what went wrong, goes wrong, went wrong,
            what is going on, what causes, what is causing, what caused, what happened, what broke,
            what changed, bottleneck*, out of memory, misbehav*, null pointer*, core dump*,
            connection refused, §error, §trace, gets killed, got killed, oom, culprit*, for no reason,
            nothing happens, does nothing, why §?, how come, unresponsive,
            пада*, упал*, вылета*, вылетел*, сломал*, сломан*, лома*, перестал*, завис*, виснет, висит,
            тормоз*, утечк*, утека*, стектрейс*, стек трейс*, трассировк*, трейсбек*, дедлок*,
            взаимн* блокировк*, бесконечн* цикл*, узк* мест*, отвалил*, отвалива*, зацикл*, глючит, глюк*,
            краш*, креш*, крэш*, что не так, что то не так, пошло не так, в чем дело, в чем проблема,
            в чем причина, в чем ошибка, что случилось, не понимаю почему, не могу понять почему,
            непонятно почему, не ясно почему, посыпал*, состояни* гонки, сегментаци*, виновник*,
            ничего не происходит, почему §?, покопайся, ругается
        """,
        3: """
            slow, slowly, slower, wrong, intermittent*, regression*, panic, panics, panicked, exits with,
            throws, permission denied, stack overflow, where it comes from, disconnects, disconnecting,
            throwing, glitch*, why am i, why is it not, why are there, spike*, corrupted, disappear*,
            even though, works locally, works on my, high cpu, no output, somehow, mysterious*,
            worked yesterday, worked before, nan, silently, every time, end up, ends up, break, breaks,
            complain*, i am getting, we are getting, i keep getting, unable to, refuses,
            медлен*, проанализир*, исследуй*, локализуй*, разберись, отыщи*, откуда бер*, откуда они,
            откуда он, откуда это, из за чего, с ошибкой, выдает ошибку, неправильн*, нестабильн*, рвется,
            жалу*, причин*, теряет*, пропада*, пропал*, сыплет*, сыпет*, исчеза*, дублиру*, застрева*,
            застрял*, все работало, раньше работал*, вчера работал*, грузит, съедает, изучи, глянь,
            не работа*
        """,
        2: """
            not, nothing, never, error*, exception*, bug, bugs, timeout*, logs, log file*, unexpected*,
            incorrect*, keeps, suddenly, sometimes, randomly, random, since yesterday, since this,
            since the last, yesterday, after upgrading, after updating, after the, after i, undefined,
            memory usage, growing, twice, blank, comes from, come from, 500, 502, 503, 504, 137, weird,
            strange*, cause, causes, why does, why is, why are, off by, wrong with, getting, returns null,
            returns nothing, race, duplicate*, missing, lost, dies, killed, whenever, each time, truncat*,
            stops, under load, stale, mismatch*, shifted, cors, i get, we get, i see, seeing, only get,
            не, ничего, никак, ошибк*, исключени*, баг, баги, багу, бага, багов, проблем*, таймаут*, лог,
            логи, логов, логах, логам, иногда, внезапно, вдруг, некоррект*, неверн*, после обновлени*,
            после деплоя, после релиза, после слияни*, почему, найди, проверь*, периодически, странн*,
            расходится, сбой, сбои, сбоя, память растет, дважды, дубликат*, сдвинут*, под нагрузкой,
            неожиданн*, лишн*, каждый раз, при каждом, вместо того, зря, отказыва*, вчера
        """,
        1: """
            issue*, problem*, why, cannot, although, null, 404, 403, 401, help, any idea, instead of,
            when clicked, empty, always, expected, but,
            посмотри, помоги, хотя, вместо, с утра, со вчера*, пуст*, никогда, сегодня, но
        """,
    },
    "architect": {
        8: """
            adr, rfc, technical specification*,
            спроектир*, техническ* задани*, техзадани*, тз
        """,
        7: """
            spec, specs, specification*, architecture decision*, design doc*, design document*,
            technical design, roadmap*, blueprint*, diagram*, high level design, implementation plan,
            migration plan,
            роадмап*, спецификац*, дорожн* карт*, проектн* документ*, дизайн документ*, спланируй*,
            распланируй*, продумай*, задокументируй*, диаграмм*, техническ* дизайн*
        """,
        6: """
            architecture*, architectural*, data model*, domain model*, requirement*,
            проектировани*, архитектур*, предложи*, модел* данных, нарисуй*, изобрази*, сформулируй*
        """,
        4: """
            mermaid, uml, erd, concept for, into a document, proposal*, trade off*, tradeoff*, strategy,
            system design, high level, folder structure, directory structure, project structure,
            api contract*, bounded context*, write up, should we, how can we, how should, would you choose,
            would you pick, would you recommend, would you structure, would you design, recommendation*,
            fit together,
            проектир*, требовани*, стратеги*, предметн* област*, концепци*, документаци*, план, плана,
            планом, планы, обоснуй*, обдумай*, придумай*, распиши*, обсудим, как нам, как обеспечить,
            верхнеуровнев*, рекомендаци*, посоветуй архитектур*, как лучше, схему, написания кода
        """,
        3: """
            documentation, design, designs, milestone*, phases, no code, without code, without coding,
            before coding, before writing code, before we, plan, structure, structured, structuring,
            document, organize, organise, best approach, architect, into services, into modules,
            record the decision, partition*, shard*,
            схем*, этап*, масштабир*, контракт*, структур*, без кода, разбей*, составь*, паттерн*, документ,
            документа, документом, документе, организовать, архитектор*, слои, слоев, выбрать, определи*,
            декомпоз*, оцени, оцените, отказоустойчив*, доступност*, как разделить, как разбить,
            как распределить, компромисс*, как построить, как организовать, как спроектировать, дизайн
        """,
        2: """
            schema*, scale, scalab*, scaling, microservice*, monolith*, pattern*, components, decision*,
            options, alternatives, approach*, how would you, what would be, best way, versus, strateg*,
            risks, §md, modules, versioning, availab*, phase*,
            микросервис*, монолит*, компонент*, взаимодейств*, вариант*, что лучше, подготовь*, оформи*,
            сравни*, риск*, опиши*, подход*, модули, черновик, сущност*, агрегат*, решение, решения,
            построй*, связать вместе, шаги
        """,
        1: """
            services, entities, layer*, domain, replica*,
            сервис*, слой, домен, модул*, систем*, подсистем*
        """,
    },
    "ask": {
        6: """
            объясни*, расскажи*, поясни*, научи, научите, что такое, растолкуй*, дай определени*, уточни*
        """,
        5: """
            what is the difference, what does, what do, how does, how do i, how do you, how can i, how to,
            how would i, what is a, what is an, difference between, in simple terms, what is the purpose,
            what is the point, what is new, i do not understand,
            чем отлича*, в чем разница, в чем отлич*, в чем смысл, что делает, что делают, что значит,
            что означа*, что нового, как работа*, как устроен*, для чего, можно ли, есть ли,
            простыми словами, покажи пример*, напомни*, подскажи*, перечисли*, помоги разобраться,
            помоги понять, хочу понять, обзор*, не понимаю как, расшифруй*, прочитай*, прочти
        """,
        3: """
            example*, meaning, pros and cons, i am new, new to, what happens, is there a way, difference*,
            overview, why do we, why do you, why did we, why we, why it matter*, it matter*, curious,
            wonder*, confused,
            зачем, пример, примеры, примером, разниц*, отличи*, плюсы, не понимаю, не знаю,
            что происходит когда, покажи*, интересно, что будет, что вернет, что возвраща*, посоветуй*,
            стоит ли, нужно ли, означа*, важн*, называ*, скажи что, скажи как*, скажи где
        """,
        2: """
            explain, mean, means, basics, concept*, used, tell me, best practice*, use case*,
            help me understand, called, considered, important, advantage*, benefit*, definition, role,
            использу*, опиши*, кратк*, кто, основ*, смысл, новичок, выбрали, преимуществ*, роль, принято,
            назови*, перечень
        """,
        1: """
            understand, use, explanation*,
            сравни*, какие, какой, какая
        """,
    },
}

# Words that may stand before a question or a command without changing what it is.
GREETINGS = _words("""
    please hi hello hey ok okay so now then next also and but or first finally just again quickly maybe perhaps
    пожалуйста привет здравствуй здравствуйте и а но ну так теперь затем потом еще также слушай смотри сначала
    просто быстро кратко скажи скажите
""")

# Words that may stand before a command: "I need you to …", "Можешь …".
LEADING_WORDS = GREETINGS | _words("""
    i we you need want would like to could can will let us is am have help me mind it should must going можешь
    можете мог могла могли бы ты вы мы я давай давайте нужно надо хочу хотим хотел хотелось необходимо прошу помоги
    помогите мне нам требуется следует попробуй пора не
""")

QUESTION_WORDS = _words("""
    what which who whose whom where when why how is are was were does do did has have can could should would will
    may что чего чему чем как какой какая какое какие какую каком какого каким каких каков какова каковы где когда
    куда откуда кто кого кому кем зачем почему сколько можно разве неужели правда
""")

# With "you" behind them they ask for something to be done: "Could you add …?"
REQUEST_WORDS = _words("""
    can could would will
""")

# Words that may stand between the beginning of a question and its question word: "In which …", "Под какой …".
PREPOSITIONS = _words("""
    in on at for to from with by under about of в во на под с со для от из к по о об у за
""")

# Words behind which another command may begin.
CONJUNCTIONS = _words("""
    and then or but и а но затем потом
""")

# "Frobnicate the …" is a command, whatever the first word means …
DETERMINERS = _words("""
    the a an this that these those all every each our my your its it them
""")

# … unless it is one of these.
NEVER_COMMANDS = (
    DETERMINERS
    | PREPOSITIONS
    | QUESTION_WORDS
    | _words("""
    after before when if since while once during because as although though given both only even not no nothing
    sometimes here there he she they some any thanks thank that get gets got see sees saw think believe guess found
    noticed love hate
""")
)
